/* The offline tools of heraldd: looking into a data directory that no daemon uses.
 *
 * Each prints what it found to standard output and what kept it from its work to standard error,
 * and returns the exit code: 0, 65 the journal is damaged or of a newer version, 71 out of memory,
 * 74 the directory cannot be read or is in use, or the output cannot be written.
 */
#ifndef HERALD_TOOL_H
#define HERALD_TOOL_H

enum tool_consent {
    TOOL_ASK,       /* on a terminal; otherwise only report */
    TOOL_CONSENTED, /* --yes */
};

/* Reads the whole journal and says whether a daemon would take it, and what is in it. Changes
 * nothing. */
int tool_verify(const char *directory);

/* One JSON object per operation and line, up to the first damage. Changes nothing. */
int tool_dump(const char *directory);

/* Says what damage there is, what would be lost, and with consent writes what survives into a new
 * directory that takes the place of the old one, which is kept under another name. */
int tool_repair(const char *directory, enum tool_consent consent);

#endif
