/* The content of a message as the options of the command line describe it. */
#ifndef HERALD_CLI_CONTENT_H
#define HERALD_CLI_CONTENT_H

#include <stdbool.h>

#include "client-lib/cli/arguments.h"
#include "client-lib/cli/place.h"
#include "client-lib/herald.h"

struct content {
    struct herald_content content; /* points into the rest; the body is still to be set */
    struct herald_header headers[TEXTS_MAX];
    unsigned char id[16];
    unsigned char parent[16];
};

/* False after it has said which option is not right. Must stay where it is while in use. */
bool content_init(struct content *content, const struct arguments *arguments);

/* What the event is about and expects, of verbs that publish. False after it has said what is not
 * right. */
bool content_take_entity(struct content *content, const struct arguments *arguments);

/* --expect, or what any entity fulfils. False after it has said why not. */
bool content_read_expect(const struct arguments *arguments, struct expectation *expectation);

/* The headers that an option describes which may be repeated; there are arguments->text_count of
 * them. False after it has said which one is not right. */
bool content_headers(const struct arguments *arguments, const char *option,
                     struct herald_header headers[TEXTS_MAX]);

/* Has the command tracked, with an id of its own unless it has one. */
void content_track(struct content *content);

#endif
