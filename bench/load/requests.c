#include "requests.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static char *whole_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    if (bytes && fread(bytes, 1, *length, file) != *length) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

/* Takes one length and as many bytes; returns where they begin, or NULL when the file ends before. */
static const char *take_part(const char *bytes, size_t length, size_t *at, size_t *part) {
    if (length - *at < 4) return NULL;
    const unsigned char *number = (const unsigned char *)bytes + *at;
    *part = (size_t)number[0] | (size_t)number[1] << 8 | (size_t)number[2] << 16 | (size_t)number[3] << 24;
    *at += 4;
    if (length - *at < *part) return NULL;
    const char *begins = bytes + *at;
    *at += *part;
    return begins;
}

int read_requests(const char *path, struct requests *requests) {
    size_t length = 0, at = 0, room = 0;
    const char *bytes = whole_file(path, &length);
    if (!bytes) return 0;
    while (at < length) {
        if (requests->count == room) {
            room = room ? room * 2 : 1024;
            requests->all = realloc(requests->all, room * sizeof *requests->all);
            if (!requests->all) return 0;
        }
        struct request *one = &requests->all[requests->count++];
        one->bytes = take_part(bytes, length, &at, &one->length);
        one->expected = one->bytes ? take_part(bytes, length, &at, &one->expected_length) : NULL;
        if (!one->expected) return 0;
    }
    return requests->count > 0;
}

const struct request *take_request(struct requests *requests) {
    const struct request *one = &requests->all[requests->next];
    requests->next = (requests->next + 1) % requests->count;
    return one;
}
