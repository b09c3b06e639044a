/* Golden vectors: reading their files and comparing them with frames. */
#include "tests/support/vector.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct reading {
    struct vector_file *file;
    unsigned line;
    struct vector *vector; /* the one being read */
};

static _Noreturn void fail(const struct reading *reading, const char *what)
{
    fprintf(stderr, "%s:%u: %s\n", reading->file->path, reading->line, what);
    abort();
}

static void begin(struct reading *reading, const char *name, const char *who)
{
    struct vector_file *file = reading->file;
    if (file->count == VECTORS_MAX)
        fail(reading, "too many vectors");
    struct vector *vector = &file->vector[file->count++];
    memset(vector, 0, sizeof *vector);
    snprintf(vector->name, sizeof vector->name, "%s", name);
    if (strcmp(who, "client") == 0)
        vector->sender = FRAME_SENDER_CLIENT;
    else if (strcmp(who, "broker") == 0)
        vector->sender = FRAME_SENDER_BROKER;
    else
        fail(reading, "from client or from broker");
    reading->vector = vector;
}

/* Bytes in hexadecimal up to the end or a closing bracket. */
static size_t read_hex(struct reading *reading, const char *text, unsigned char *at, size_t room)
{
    size_t count = 0;
    for (;;) {
        text += strspn(text, " ");
        if (*text == '\0' || *text == ']')
            return count;
        char *end;
        unsigned long byte = strtoul(text, &end, 16);
        if (end != text + 2 || byte > 255 || count == room)
            fail(reading, "not two digits, or too many");
        at[count++] = (unsigned char)byte;
        text = end;
    }
}

static size_t read_quoted(struct reading *reading, const char *text, unsigned char *at, size_t room)
{
    size_t count = 0;
    for (text++; *text != '"'; text++) {
        if (*text == '\\')
            text++;
        if (*text == '\0' || count == room)
            fail(reading, "text without its end, or too long");
        at[count++] = (unsigned char)*text;
    }
    return count;
}

static void read_value(struct reading *reading, struct vector_field *field, const char *text)
{
    struct vector *vector = reading->vector;
    unsigned char *at = vector->value + vector->value_bytes;
    size_t room = sizeof vector->value - vector->value_bytes;
    size_t bytes = 0;
    if (*text == '"') {
        bytes = read_quoted(reading, text, at, room);
    } else if (*text == '[') {
        bytes = read_hex(reading, text + 1, at, room);
    } else {
        char *end;
        field->is_number = true;
        field->number = strtoull(text, &end, 10);
        if (end == text || *end != '\0')
            fail(reading, "not a number");
    }
    field->bytes = wire_bytes_of(at, (uint32_t)bytes);
    vector->value_bytes += bytes;
}

static void read_field(struct reading *reading, const char *text)
{
    struct vector *vector = reading->vector;
    if (vector == NULL)
        fail(reading, "a field before the first frame");
    size_t length = strcspn(text, " ");
    if (text[length] == '\0' || length >= VECTOR_NAME_MAX)
        fail(reading, "a name and a value");
    if (length == 3 && memcmp(text, "hex", 3) == 0) {
        vector->hex_bytes += read_hex(reading, text + 4, vector->hex + vector->hex_bytes,
                                      sizeof vector->hex - vector->hex_bytes);
        return;
    }
    if (vector->field_count == VECTOR_FIELDS_MAX)
        fail(reading, "too many fields");
    struct vector_field *field = &vector->field[vector->field_count++];
    memcpy(field->name, text, length);
    read_value(reading, field, text + length + 1);
}

static void read_line(struct reading *reading, char *line)
{
    char name[VECTOR_NAME_MAX];
    char who[VECTOR_NAME_MAX];
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#')
        return;
    if (strncmp(line, "  ", 2) == 0)
        read_field(reading, line + 2);
    else if (sscanf(line, "frame %39s from %39s", name, who) == 2)
        begin(reading, name, who);
    else if (sscanf(line, "magic from %39s", who) == 1)
        begin(reading, "magic", who);
    else
        fail(reading, "neither comment, frame, magic nor field");
}

void vector_file_read(struct vector_file *file, const char *path)
{
    struct reading reading = {file, 0, NULL};
    static char line[4 * VECTOR_VALUES_MAX];
    file->path = path;
    file->count = 0;
    FILE *input = fopen(path, "r");
    if (input == NULL)
        fail(&reading, "cannot be opened");
    while (fgets(line, sizeof line, input) != NULL) {
        reading.line++;
        read_line(&reading, line);
    }
    fclose(input);
}

/* --- comparing
 * ------------------------------------------------------------------------------------ */

struct comparing {
    const struct vector *vector;
    size_t next;
};

static _Noreturn void differ(const struct vector *vector, const char *name)
{
    fprintf(stderr, "%s: field %s is not as written\n", vector->name, name);
    abort();
}

static const struct vector_field *take(struct comparing *comparing, const char *name)
{
    const struct vector *vector = comparing->vector;
    if (comparing->next == vector->field_count ||
        strcmp(vector->field[comparing->next].name, name) != 0)
        differ(vector, name);
    return &vector->field[comparing->next++];
}

static void compare_number(struct comparing *comparing, const char *name, uint64_t number)
{
    const struct vector_field *field = take(comparing, name);
    if (!field->is_number || field->number != number)
        differ(comparing->vector, name);
}

static void compare_u8(struct comparing *comparing, const char *name, uint8_t value)
{
    compare_number(comparing, name, value);
}

static void compare_u16(struct comparing *comparing, const char *name, uint16_t value)
{
    compare_number(comparing, name, value);
}

static void compare_u32(struct comparing *comparing, const char *name, uint32_t value)
{
    compare_number(comparing, name, value);
}

static void compare_u64(struct comparing *comparing, const char *name, uint64_t value)
{
    compare_number(comparing, name, value);
}

static void compare_bytes(struct comparing *comparing, const char *name, struct wire_bytes value)
{
    const struct vector_field *field = take(comparing, name);
    if (field->is_number || !wire_bytes_equal(field->bytes, value))
        differ(comparing->vector, name);
}

static void compare_id(struct comparing *comparing, const char *name, struct wire_id value)
{
    compare_bytes(comparing, name, wire_bytes_of(value.byte, sizeof value.byte));
}

static void compare_str8(struct comparing *comparing, const char *name, struct wire_bytes value)
{
    compare_bytes(comparing, name, value);
}

static void compare_str16(struct comparing *comparing, const char *name, struct wire_bytes value)
{
    compare_bytes(comparing, name, value);
}

static void compare_rest(struct comparing *comparing, const char *name, struct wire_bytes value)
{
    compare_bytes(comparing, name, value);
}

void vector_check(const struct vector *vector, const struct frame *frame)
{
    struct comparing comparing = {vector, 0};
    if (strcmp(vector->name, frame_name(frame->header.type)) != 0)
        differ(vector, "type");
    compare_number(&comparing, "flags", frame->header.flags);
    compare_number(&comparing, "tag", frame->header.tag);
    switch (frame->header.type) {
#define FRAME(NAME, name, type, sender, phase, line, flag_mask, text)                              \
    case type: {                                                                                   \
        const struct frame_##name *fields = &frame->as.name;
#define FIELD(kind, name, text) compare_##kind(&comparing, #name, fields->name);
#define FRAME_END(NAME, name)                                                                      \
    break;                                                                                         \
    }
#include "protocol/frames.def"
    default:
        break;
    }
    if (comparing.next != vector->field_count)
        differ(vector, vector->field[comparing.next].name);
}
