/* Message ids: UUIDv7 of RFC 9562, section 5.7. */
#include "client-lib/herald.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

void herald_id_make(unsigned char id[16])
{
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time);
    uint64_t time_ms = (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
    /* The kernel fills short requests whole; before its pool is ready the time alone must do. */
    if (getrandom(id, 16, 0) != 16)
        memset(id, 0, 16);
    for (size_t i = 0; i < 6; i++)
        id[i] = (unsigned char)(time_ms >> (40 - 8 * i));
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0f));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
}

void herald_id_print(const unsigned char id[16], char text[37])
{
    static const char digits[] = "0123456789abcdef";
    char *at = text;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[id[i] >> 4];
        *at++ = digits[id[i] & 0x0f];
    }
    *at = '\0';
}
