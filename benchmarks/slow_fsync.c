/* Adds 2 ms to each fsync and fdatasync, like a slow disk. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

typedef int sync_function(int);

static int later(const char *name, int file)
{
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, 0);
    return ((sync_function *)dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return later("fsync", file); }
int fdatasync(int file) { return later("fdatasync", file); }
