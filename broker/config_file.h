/* Configuration files: what lines are in them, and which files there are. */
#ifndef HERALD_CONFIG_FILE_H
#define HERALD_CONFIG_FILE_H

#include <stddef.h>

#include "broker/config.h"
#include "broker/config_error.h"

/* The names of the files of a directory "conf.d" that count, in the order in which they do. */
struct config_listing {
    size_t count;
    char *path[CONFIG_FILES_MAX];
};

/* Reads one text in INI form into `config`. What is wrong is added to `errors`; the rest is taken.
 */
void config_file_parse(struct config *config, const char *name, const char *text, size_t bytes,
                       struct config_errors *errors);

enum config_presence {
    CONFIG_MUST_EXIST,
    CONFIG_MAY_BE_MISSING,
};

/* The same for a regular file of at most CONFIG_FILE_BYTES_MAX bytes. */
void config_file_read(struct config *config, const char *path, enum config_presence presence,
                      struct config_errors *errors);

/* Finds the files *.conf in the directory conf.d beside `path`. That there is no such directory is
 * fine. */
void config_listing_read(struct config_listing *listing, const char *path,
                         struct config_errors *errors);
void config_listing_deinit(struct config_listing *listing);

#endif
