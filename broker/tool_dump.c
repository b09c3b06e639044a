/* heraldd --dump: files of histories and the journal, as one JSON object per event, entity or
 * operation and line.
 *
 * Files come first, because what they hold is older: by exchange, events in their order, then the
 * entities. All that verifies is printed, whatever the journal says of it. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "broker/operation_json.h"
#include "broker/store/archive_inspect.h"
#include "broker/store/inspect.h"
#include "broker/tool.h"
#include "broker/tool_report.h"

struct dump {
    const char *directory;
    const struct archive_name *name; /* of the file that is printed */
    uint64_t damage_count;           /* of files, where the dump goes on */
    struct journal_failure failure;  /* the damage that it stops at */
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

/* --- files --------------------------------------------------------------------------------------
 */

static json_t *file_json(const struct dump *dump)
{
    char text[ARCHIVE_NAME_BYTES];
    json_t *object = json_object();
    archive_print_name(text, dump->name);
    json_object_set_new(object, "file", json_string(text));
    json_object_set_new(object, "exchange_number", json_integer(dump->name->exchange));
    return object;
}

static enum status print_event(struct dump *dump, const struct archive_event *event,
                               uint32_t offset)
{
    struct wire_reader r = wire_reader_of(event->at, event->bytes);
    struct operation operation;
    if (record_next(&r, &operation) != STATUS_OK) /* the inspector has looked at it */
        return STATUS_OK;
    json_t *object = file_json(dump);
    json_object_set_new(object, "block", json_integer(offset));
    json_object_set_new(object, "sequence", json_integer((json_int_t)event->sequence));
    json_t *fields = operation_json(&operation);
    json_object_update(object, fields);
    json_decref(fields);
    enum status status = print_line(dump, object);
    json_decref(object);
    return status;
}

static enum status on_block(void *argument, const struct archive_block *block,
                            const unsigned char *at)
{
    struct archive_walk walk =
        archive_walk_of(at, (size_t)archive_block_bytes(block->payload_bytes));
    struct archive_event event;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && archive_walk_next(&walk, &event) == STATUS_OK)
        status = print_event(argument, &event, block->offset);
    return status;
}

static enum status on_entity(void *argument, const struct archive_entity *entity)
{
    struct dump *dump = argument;
    char hash[32];
    json_t *object = file_json(dump);
    (void)snprintf(hash, sizeof hash, "%016" PRIx64 "%08" PRIx64, entity->hash[0], entity->hash[1]);
    json_object_set_new(object, "entity_hash", json_string(hash));
    json_object_set_new(object, "version", json_integer((json_int_t)entity->version));
    json_object_set_new(object, "sequence", json_integer((json_int_t)entity->sequence));
    enum status status = print_line(dump, object);
    json_decref(object);
    return status;
}

/* What stands behind damage in a file is as good as what stands before it. */
static enum status on_file_damage(void *argument, const struct archive_damage *damage)
{
    struct dump *dump = argument;
    struct journal_failure failure = {.offset = damage->offset};
    archive_print_name(failure.file, dump->name);
    (void)snprintf(failure.text, sizeof failure.text, "at offset %" PRIu64 ": %s; it is left out",
                   damage->offset, damage->text);
    dump->damage_count++;
    (void)tool_complain(dump->directory, STATUS_CORRUPT, &failure);
    return STATUS_OK;
}

static enum status dump_files(struct dump *dump, const struct disk *disk)
{
    struct archive_list list = {0};
    struct archive_inspector inspector = {on_block, on_entity,      on_file_damage,
                                          dump,     &dump->failure, false};
    struct archive *archive = archive_new(disk, NULL, NULL);
    enum status status =
        archive != NULL ? archive_list(archive, &list, &dump->failure) : STATUS_NO_MEMORY;
    for (size_t i = 0; i < list.count && status == STATUS_OK; i++) {
        struct archive_inspection found;
        dump->name = &list.names[i];
        status = archive_inspect(archive, dump->name, &inspector, &found);
    }
    free(list.names);
    archive_free(archive);
    return status;
}

/* --- both ---------------------------------------------------------------------------------------
 */

static int run(const char *directory, const struct disk *disk)
{
    struct dump dump = {.directory = directory};
    struct inspect_summary summary = {0};
    struct inspect_reader reader = {on_record, on_damage, &dump};
    enum status status = dump_files(&dump, disk);
    if (status == STATUS_OK)
        status = inspect_run(disk, &reader, &summary, &dump.failure);
    if (status == STATUS_IO_ERROR && dump.is_reader_gone)
        return EX_OK;
    int exit_code = tool_finish(EX_OK);
    if (exit_code != EX_OK)
        return exit_code;
    if (status != STATUS_OK)
        return tool_complain(directory, status, &dump.failure);
    if (summary.segment_count == 0)
        return tool_complain_empty(directory);
    return dump.damage_count == 0 ? EX_OK : EX_DATAERR;
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
