/* NumPy's memory for arrays, of which one allocation fails: a PyDataMem_Handler, version 1.
 *
 * no_memory_arm(refused, least) begins to count allocations of at least so many bytes; the one of that number, from 1
 * on, returns NULL. no_memory_disarm() ends it, and returns how many there were. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static atomic_long refused_number, count;
static atomic_size_t smallest;
static atomic_int armed;

void no_memory_arm(long refused, size_t least) {
    refused_number = refused;
    smallest = least;
    count = 0;
    armed = 1;
}

long no_memory_disarm(void) {
    armed = 0;
    return count;
}

static int refused(size_t bytes) {
    return armed && bytes >= smallest && atomic_fetch_add(&count, 1) + 1 == refused_number;
}

static void *take(void *context, size_t bytes) {
    (void)context;
    return refused(bytes) ? NULL : malloc(bytes);
}

static void *take_zeros(void *context, size_t number, size_t bytes) {
    (void)context;
    return refused(number * bytes) ? NULL : calloc(number, bytes);
}

static void *resize(void *context, void *memory, size_t bytes) {
    (void)context;
    return refused(bytes) ? NULL : realloc(memory, bytes);
}

static void give_back(void *context, void *memory, size_t bytes) {
    (void)context;
    (void)bytes;
    free(memory);
}

struct {
    char name[127];
    uint8_t version;
    void *context;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *, size_t);
} no_memory_handler = {"no_memory", 1, NULL, take, take_zeros, resize, give_back};
