/* heraldd --dump: the journal as one JSON object per operation and line. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "broker/operation_json.h"
#include "broker/store/inspect.h"
#include "broker/tool.h"
#include "broker/tool_report.h"

struct dump {
    struct journal_failure failure; /* the damage that the dump stops at */
    bool is_reader_gone;
};

static enum status print_line(struct dump *dump, json_t *object)
{
    char *line = json_dumps(object, JSON_COMPACT);
    if (line == NULL)
        return STATUS_NO_MEMORY;
    bool is_out = puts(line) != EOF;
    dump->is_reader_gone = !is_out && errno == EPIPE;
    free(line);
    return is_out ? STATUS_OK : STATUS_IO_ERROR;
}

/* Where the operation stands, and then what it says. */
static enum status print_operation(struct dump *dump, const struct inspect_record *record,
                                   const struct operation *operation, uint64_t back)
{
    char segment[SEGMENT_NAME_BYTES];
    segment_print_name(segment, NAME_SEGMENT, record->segment);
    uint64_t position = record->position + back;
    json_t *object = json_object();
    json_object_set_new(object, "position", json_integer((json_int_t)position));
    json_object_set_new(object, "record", json_integer((json_int_t)record->position));
    json_object_set_new(object, "segment", json_string(segment));
    json_object_set_new(object, "batch", json_integer((json_int_t)record->sequence));
    json_object_set_new(object, "written_ms", json_integer((json_int_t)record->now_ms));
    json_t *fields = operation_json(operation);
    json_object_update(object, fields);
    json_decref(fields);
    enum status status = print_line(dump, object);
    json_decref(object);
    return status;
}

static void set_failure(struct dump *dump, uint64_t segment, const char *text)
{
    segment_print_name(dump->failure.file, NAME_SEGMENT, segment);
    (void)snprintf(dump->failure.text, sizeof dump->failure.text, "%s", text);
}

static enum status on_record(void *argument, const struct inspect_record *record)
{
    struct dump *dump = argument;
    struct wire_reader r = wire_reader_of(record->at, record->bytes);
    for (;;) {
        uint64_t back = (uint64_t)(r.at - record->at);
        struct operation operation;
        enum status status = record_next(&r, &operation);
        if (status == STATUS_MORE)
            return STATUS_OK;
        if (status != STATUS_OK)
            set_failure(dump, record->segment, "a record says nothing that this version knows");
        else
            status = print_operation(dump, record, &operation, back);
        if (status != STATUS_OK)
            return status;
    }
}

static enum status on_damage(void *argument, const struct inspect_damage *damage)
{
    struct dump *dump = argument;
    (void)snprintf(dump->failure.file, sizeof dump->failure.file, "%s", damage->file);
    (void)snprintf(dump->failure.text, sizeof dump->failure.text,
                   "at offset %" PRIu64 ": %s; the dump ends here", damage->offset, damage->text);
    return STATUS_CORRUPT;
}

static int run(const char *directory, const struct disk *disk)
{
    struct dump dump = {0};
    struct inspect_summary summary;
    struct inspect_reader reader = {on_record, on_damage, &dump};
    enum status status = inspect_run(disk, &reader, &summary, &dump.failure);
    if (status == STATUS_IO_ERROR && dump.is_reader_gone)
        return EX_OK;
    int exit_code = tool_finish(EX_OK);
    if (exit_code != EX_OK)
        return exit_code;
    if (status != STATUS_OK)
        return tool_complain(directory, status, &dump.failure);
    return summary.segment_count == 0 ? tool_complain_empty(directory) : EX_OK;
}

int tool_dump(const char *directory)
{
    int exit_code;
    struct disk *disk = tool_open(directory, &exit_code);
    if (disk != NULL)
        exit_code = run(directory, disk);
    disk_real_free(disk);
    return exit_code;
}
