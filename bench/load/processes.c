#include "processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* schedstat counts nanoseconds; stat counts ticks of 10 ms, too coarse for a burst. */
static double of_thread(const char *pid, const char *thread) {
    char path[320];
    unsigned long long nanoseconds = 0;
    snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, thread);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (fscanf(file, "%llu", &nanoseconds) != 1) nanoseconds = 0;
    fclose(file);
    return (double)nanoseconds / 1e9;
}

static double of_process(const char *pid) {
    char path[64];
    double sum = 0;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *threads = opendir(path);
    if (!threads) return 0;
    for (struct dirent *one; (one = readdir(threads));)
        if (one->d_name[0] != '.') sum += of_thread(pid, one->d_name);
    closedir(threads);
    return sum;
}

double cpu_seconds(const char *pids) {
    double sum = 0;
    char pid[16];
    for (const char *at = pids; *at;) {
        int length = 0;
        if (sscanf(at, "%15[0-9]%n", pid, &length) != 1) break;
        sum += of_process(pid);
        at += length;
        if (*at == ',') at++;
    }
    return sum;
}
