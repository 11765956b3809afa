#include "tally.h"

#include <stdio.h>
#include <stdlib.h>

void tally_right(struct tally *tally, double seconds) {
    if (tally->right == tally->room) {
        tally->room = tally->room ? tally->room * 2 : 4096;
        tally->seconds = realloc(tally->seconds, tally->room * sizeof *tally->seconds);
        if (!tally->seconds) abort();
    }
    tally->seconds[tally->right++] = seconds;
}

void tally_restart(struct tally *tally) {
    tally->right = tally->wrong_status = tally->wrong_body = tally->broken = 0;
}

static int by_size(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

double tally_at(struct tally *tally, double share) {
    if (tally->right == 0) return 0;
    qsort(tally->seconds, tally->right, sizeof *tally->seconds, by_size);
    size_t place = (size_t)(share * (double)tally->right);
    return tally->seconds[place < tally->right ? place : tally->right - 1];
}

void tally_print(struct tally *tally) {
    printf("\"right\": %zu, \"wrong_status\": %zu, \"wrong_body\": %zu, \"broken\": %zu, ", tally->right,
           tally->wrong_status, tally->wrong_body, tally->broken);
    printf("\"p50_ms\": %.3f, \"p90_ms\": %.3f, ", 1e3 * tally_at(tally, 0.5), 1e3 * tally_at(tally, 0.9));
    printf("\"p99_ms\": %.3f, \"max_ms\": %.3f", 1e3 * tally_at(tally, 0.99), 1e3 * tally_at(tally, 1));
}
