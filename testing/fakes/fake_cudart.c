// SPDX-License-Identifier: Apache-2.0
// CUDA's runtime and driver on the host's memory, as far as pear_ros calls them, for tests without a
// GPU. Work is done when a thread waits for it and not before; a capture records and runs nothing; a
// graph keeps the addresses that it was captured with; memory is only what was asked for, and new
// memory is full of rubbish; while a stream is captured, nothing may wait or allocate; an access
// beside any memory is an error that never goes away. The kernel that crops people is compiled as C;
// its memory may be any of the host's.
//
// Functions that begin with "fake" are for tests. One thread only.

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    unsigned x, y, z;
} blockIdx, blockDim, threadIdx;
#define __device__
#define KERNEL static
#include "crop_kernel.cu"

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INSUFFICIENT_DRIVER = 35,
    NO_DEVICE = 100,
    INVALID_HANDLE = 400,
    ILLEGAL_ADDRESS = 700,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
};

static const struct {
    int code;
    const char *name, *text;
} ERRORS[] = {
    {SUCCESS, "cudaSuccess", "no error"},
    {INVALID_VALUE, "cudaErrorInvalidValue", "invalid argument"},
    {OUT_OF_MEMORY, "cudaErrorMemoryAllocation", "out of memory"},
    {INSUFFICIENT_DRIVER, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {NO_DEVICE, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {INVALID_HANDLE, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {ILLEGAL_ADDRESS, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {CAPTURE_UNSUPPORTED, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {CAPTURE_INVALIDATED, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
};

// A piece of work: a copy, or a call of `kernel`.
typedef struct {
    char *to, *from;
    size_t bytes;
    int direction;
    void (*kernel)(void *);
    void *data;
} Work;

typedef struct {
    Work *items;
    int count;
} List;

enum { DEVICE, PINNED, STREAM, GRAPH, EXECUTABLE, EVENT, MODULE };

typedef struct Object {
    int kind;
    char *memory;
    size_t bytes;
    List list;      // what a stream has to do, or what a graph does
    List captured;  // what a stream records
    int capturing, invalidated;
    void *stream;  // of an event
    struct Object *next;
} Object;

#define MOST_FAULTS 16
static Object *objects;
static struct {
    char call[64];
    int in;
    int code;
} faults[MOST_FAULTS];
static int fault_count, sticky, last_error;
static int runtime_version = 13000, driver_version = 13000, driver_start, devices = 1;
static size_t free_bytes = (size_t)8 << 30;
static char *call_log;
static size_t log_size;

static void note(const char *call, size_t bytes) {
    char line[96];
    int length = bytes ? snprintf(line, sizeof line, "%s %zu\n", call, bytes)
                       : snprintf(line, sizeof line, "%s\n", call);
    call_log = realloc(call_log, log_size + length + 1);
    memcpy(call_log + log_size, line, length + 1);
    log_size += length;
}

static int failed(int code) {
    if (code) last_error = code;
    return code;
}

// Every call begins here: it is noted, and fails if it is to.
static int begin(const char *call, size_t bytes) {
    int code = sticky;
    note(call, bytes);
    for (int n = 0; n < fault_count; n++)
        if (!strcmp(faults[n].call, call) && --faults[n].in == 0) code = faults[n].code;
    if (code == ILLEGAL_ADDRESS) sticky = code;
    return failed(code);
}

// What may not be called while any stream is captured, and ends the capture.
static int begin_outside(const char *call, size_t bytes) {
    int code = begin(call, bytes);
    if (code) return code;
    for (Object *o = objects; o; o = o->next)
        if (o->capturing) {
            o->invalidated = 1;
            code = CAPTURE_UNSUPPORTED;
        }
    return failed(code);
}

static Object *make(int kind) {
    Object *made = calloc(1, sizeof *made);
    made->kind = kind;
    made->next = objects;
    return objects = made;
}

static Object *find(const void *handle, int kind) {
    for (Object *o = objects; o; o = o->next)
        if (o->kind == kind && (o == handle || (o->memory && o->memory == handle))) return o;
    return NULL;
}

static void drop(Object *gone) {
    for (Object **o = &objects; *o; o = &(*o)->next)
        if (*o == gone) {
            *o = gone->next;
            free(gone->memory);
            free(gone->list.items);
            free(gone->captured.items);
            free(gone);
            return;
        }
}

static void add(List *list, const Work *work, int count) {
    list->items = realloc(list->items, (list->count + count) * sizeof *work);
    memcpy(list->items + list->count, work, count * sizeof *work);
    list->count += count;
}

static int covered(const char *address, size_t bytes, int kind) {
    for (Object *o = objects; o; o = o->next)
        if (o->kind == kind && address >= o->memory && address + bytes <= o->memory + o->bytes)
            return 1;
    return 0;
}

static void finish(Object *stream) {
    for (int n = 0; n < stream->list.count && !sticky; n++) {
        Work *work = &stream->list.items[n];
        if (work->kernel) {
            work->kernel(work->data);
        } else if (covered(work->to, work->bytes, work->direction == 1 ? DEVICE : PINNED) &&
                   covered(work->from, work->bytes, work->direction == 1 ? PINNED : DEVICE)) {
            memcpy(work->to, work->from, work->bytes);
        } else {
            sticky = ILLEGAL_ADDRESS;
        }
    }
    stream->list.count = 0;
}

static void finish_all(void) {
    for (Object *o = objects; o; o = o->next)
        if (o->kind == STREAM) finish(o);
}

static int put(Object *stream, const Work *work, int count) {
    if (stream->capturing && stream->invalidated) return failed(CAPTURE_INVALIDATED);
    add(stream->capturing ? &stream->captured : &stream->list, work, count);
    return SUCCESS;
}

static int allocate(void **address, size_t bytes, int kind) {
    if (bytes > free_bytes) return failed(OUT_OF_MEMORY);
    Object *made = make(kind);
    // As CUDA, on a boundary of 256 bytes.
    made->memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(made->memory, 0xcd, bytes);
    made->bytes = bytes;
    *address = made->memory;
    return SUCCESS;
}

static int release(void *address, int kind) {
    finish_all();  // As CUDA, which waits for the device.
    Object *gone = find(address, kind);
    if (!gone) return failed(address ? INVALID_VALUE : SUCCESS);
    drop(gone);
    return failed(sticky);
}

// ------------------------------------------------------------------------------ CUDA's runtime

const char *cudaGetErrorName(int code) {
    for (size_t n = 0; n < sizeof ERRORS / sizeof *ERRORS; n++)
        if (ERRORS[n].code == code) return ERRORS[n].name;
    return "cudaErrorUnknown";
}

const char *cudaGetErrorString(int code) {
    for (size_t n = 0; n < sizeof ERRORS / sizeof *ERRORS; n++)
        if (ERRORS[n].code == code) return ERRORS[n].text;
    return "unknown error";
}

int cudaGetLastError(void) {
    int code = last_error;
    last_error = sticky;
    return code;
}

int cudaRuntimeGetVersion(int *version) {
    *version = runtime_version;
    return SUCCESS;
}

int cudaDriverGetVersion(int *version) {
    *version = driver_version;
    return SUCCESS;
}

int cudaMemGetInfo(size_t *available, size_t *total) {
    int code = begin("cudaMemGetInfo", 0);
    *available = free_bytes;
    *total = (size_t)8 << 30;
    return code;
}

int cudaMalloc(void **address, size_t bytes) {
    int code = begin_outside("cudaMalloc", bytes);
    return code ? code : allocate(address, bytes, DEVICE);
}

int cudaHostAlloc(void **address, size_t bytes, unsigned flags) {
    int code = begin_outside("cudaHostAlloc", bytes);
    return code ? code : allocate(address, bytes, PINNED);
}

int cudaFree(void *address) {
    int code = begin_outside("cudaFree", 0);
    return code ? code : release(address, DEVICE);
}

int cudaFreeHost(void *address) {
    int code = begin_outside("cudaFreeHost", 0);
    return code ? code : release(address, PINNED);
}

int cudaStreamCreateWithFlags(void **handle, unsigned flags) {
    int code = begin_outside("cudaStreamCreateWithFlags", flags);
    if (!code) *handle = make(STREAM);
    return code;
}

int cudaStreamDestroy(void *handle) {
    int code = begin("cudaStreamDestroy", 0);
    Object *stream = find(handle, STREAM);
    if (code) return code;
    if (!stream) return failed(INVALID_HANDLE);
    finish(stream);
    drop(stream);
    return SUCCESS;
}

int cudaStreamSynchronize(void *handle) {
    int code = begin("cudaStreamSynchronize", 0);
    Object *stream = find(handle, STREAM);
    if (code || !handle) return code;  // No handle: the default stream, on which nothing is done.
    if (!stream) return failed(INVALID_HANDLE);
    if (stream->capturing) {
        stream->invalidated = 1;
        return failed(CAPTURE_UNSUPPORTED);
    }
    finish(stream);
    return failed(sticky);
}

static int destroy(const char *call, void *handle, int kind) {
    int code = begin(call, 0);
    Object *gone = find(handle, kind);
    if (code) return code;
    if (!gone) return failed(INVALID_VALUE);
    drop(gone);
    return SUCCESS;
}

// An event is of the stream that recorded it last.
int cudaEventCreateWithFlags(void **handle, unsigned flags) {
    int code = begin("cudaEventCreateWithFlags", flags);
    if (!code) *handle = make(EVENT);
    return code;
}

int cudaEventRecord(void *handle, void *stream) {
    int code = begin("cudaEventRecord", 0);
    Object *event = find(handle, EVENT);
    if (code) return code;
    if (!event || !find(stream, STREAM)) return failed(INVALID_HANDLE);
    event->stream = stream;
    return SUCCESS;
}

int cudaEventSynchronize(void *handle) {
    int code = begin("cudaEventSynchronize", 0);
    Object *event = find(handle, EVENT);
    if (code) return code;
    if (!event) return failed(INVALID_HANDLE);
    Object *stream = event->stream ? find(event->stream, STREAM) : NULL;
    if (stream && stream->capturing) {
        stream->invalidated = 1;
        return failed(CAPTURE_UNSUPPORTED);
    }
    if (stream) finish(stream);
    return failed(sticky);
}

int cudaEventDestroy(void *handle) { return destroy("cudaEventDestroy", handle, EVENT); }

int cudaMemcpyAsync(void *to, void *from, size_t bytes, int direction, void *handle) {
    int code = begin(direction == 1 ? "cudaMemcpyAsync up" : "cudaMemcpyAsync down", bytes);
    Object *stream = find(handle, STREAM);
    if (code) return code;
    if (!stream) return failed(INVALID_HANDLE);
    if (!to || !from || (direction != 1 && direction != 2)) return failed(INVALID_VALUE);
    Work work = {.to = to, .from = from, .bytes = bytes, .direction = direction};
    return put(stream, &work, 1);
}

int cudaStreamBeginCapture(void *handle, int mode) {
    int code = begin("cudaStreamBeginCapture", mode);
    Object *stream = find(handle, STREAM);
    if (code) return code;
    if (!stream || stream->capturing) return failed(INVALID_VALUE);
    stream->capturing = 1;
    stream->invalidated = 0;
    stream->captured.count = 0;
    return SUCCESS;
}

int cudaStreamEndCapture(void *handle, void **graph) {
    int code = begin("cudaStreamEndCapture", 0);
    Object *stream = find(handle, STREAM);
    *graph = NULL;
    if (!stream || !stream->capturing) return failed(INVALID_VALUE);
    stream->capturing = 0;
    if (code) return code;
    if (stream->invalidated) return failed(CAPTURE_INVALIDATED);
    Object *made = make(GRAPH);
    add(&made->list, stream->captured.items, stream->captured.count);
    *graph = made;
    return SUCCESS;
}

int cudaGraphInstantiateWithFlags(void **executable, void *handle, unsigned long long flags) {
    int code = begin("cudaGraphInstantiateWithFlags", 0);
    Object *graph = find(handle, GRAPH);
    if (code) return code;
    if (!graph) return failed(INVALID_VALUE);
    Object *made = make(EXECUTABLE);
    add(&made->list, graph->list.items, graph->list.count);
    *executable = made;
    return SUCCESS;
}

int cudaGraphLaunch(void *executable, void *handle) {
    int code = begin("cudaGraphLaunch", 0);
    Object *graph = find(executable, EXECUTABLE), *stream = find(handle, STREAM);
    if (code) return code;
    if (!graph || !stream) return failed(INVALID_VALUE);
    return put(stream, graph->list.items, graph->list.count);
}

int cudaGraphDestroy(void *graph) { return destroy("cudaGraphDestroy", graph, GRAPH); }

int cudaGraphExecDestroy(void *graph) { return destroy("cudaGraphExecDestroy", graph, EXECUTABLE); }

// ------------------------------------------------------------------------------- CUDA's driver

int cuInit(unsigned flags) { return driver_start; }

int cuDriverGetVersion(int *version) { return cudaDriverGetVersion(version); }

int cuDeviceGetCount(int *count) {
    *count = devices;
    return SUCCESS;
}

int cuDeviceGet(int *device, int number) {
    *device = number;
    return number < devices ? SUCCESS : INVALID_VALUE;
}

int cuDeviceGetName(char *name, int length, int device) {
    int code = begin("cuDeviceGetName", 0);
    snprintf(name, length, "Fake GPU");
    return code;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (size_t)8 << 30;
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 16 ? 14 : attribute == 18;
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = &devices;
    return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int device) { return SUCCESS; }

int cuCtxSetCurrent(void *context) { return context == &devices ? SUCCESS : INVALID_VALUE; }

int cuModuleLoadData(void **module, const char *ptx) {
    int code = begin("cuModuleLoadData", 0);
    if (code) return code;
    if (!strstr(ptx, ".entry")) return failed(INVALID_VALUE);
    *module = make(MODULE);
    return SUCCESS;
}

int cuModuleUnload(void *module) { return destroy("cuModuleUnload", module, MODULE); }

typedef struct {
    int to_bytes;
    unsigned grid[3], block[3];
    const unsigned char *pixels;
    const double *geometry;
    void *crops;
} Crops;

int cuModuleGetFunction(void **function, void *module, const char *name) {
    static int kinds[2] = {0, 1};
    if (strcmp(name, "crop_to_floats") && strcmp(name, "crop_to_bytes")) return failed(500);
    *function = &kinds[!strcmp(name, "crop_to_bytes")];
    return find(module, MODULE) ? SUCCESS : failed(INVALID_HANDLE);
}

static void run_crops(void *data) {
    const Crops *work = data;
    blockDim.x = work->block[0], blockDim.y = work->block[1];
    for (blockIdx.z = 0; blockIdx.z < work->grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < work->grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < work->grid[0]; blockIdx.x++)
                for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
                    for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++)
                        if (work->to_bytes)
                            crop_to_bytes(work->pixels, work->geometry, work->crops);
                        else
                            crop_to_floats(work->pixels, work->geometry, work->crops);
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned shared, void *handle, void **arguments, void **extra) {
    int code = begin("cuLaunchKernel", gz);
    Object *stream = find(handle, STREAM);
    if (code) return code;
    if (!stream) return failed(INVALID_HANDLE);
    if (!gx || !gy || !gz || bx * by * bz > 1024) return failed(INVALID_VALUE);
    Crops *work = malloc(sizeof *work);  // Kept, as graphs may run it again.
    *work = (Crops){.to_bytes = *(int *)function,
                    .grid = {gx, gy, gz},
                    .block = {bx, by, bz},
                    .pixels = *(void **)arguments[0],
                    .geometry = *(void **)arguments[1],
                    .crops = *(void **)arguments[2]};
    Work item = {.kernel = run_crops, .data = work};
    return put(stream, &item, 1);
}

int cuGetErrorString(int code, const char **text) {
    *text = cudaGetErrorString(code);
    return SUCCESS;
}

// ------------------------------------------------------------------------------------ for tests

// All calls since the last time, one a line.
const char *fakeLog(void) {
    static char *shown;
    free(shown);
    shown = call_log;
    call_log = NULL;
    log_size = 0;
    return shown ? shown : "";
}

// Everything as at the start; what was allocated is gone.
void fakeReset(void) {
    while (objects) drop(objects);
    fault_count = sticky = last_error = driver_start = 0;
    runtime_version = driver_version = 13000;
    devices = 1;
    free_bytes = (size_t)8 << 30;
    fakeLog();
}

// The call of that name which comes as number `in` from now, counted from 1, fails with `code`.
void fakeFail(const char *call, int in, int code) {
    if (fault_count == MOST_FAULTS) abort();
    snprintf(faults[fault_count].call, sizeof faults->call, "%s", call);
    faults[fault_count].in = in;
    faults[fault_count++].code = code;
}

// From now on every call fails with `code`.
void fakeBreak(int code) { sticky = code; }

void fakeMachine(int runtime, int driver, int start, int count, size_t bytes) {
    runtime_version = runtime;
    driver_version = driver;
    driver_start = start;
    devices = count;
    free_bytes = bytes;
}

// Objects of all kinds that are not freed.
int fakeLive(void) {
    int count = 0;
    for (Object *o = objects; o; o = o->next) count++;
    return count;
}

// What TensorRT does: `kernel` is called when the stream comes to it.
int fakeKernel(void *handle, void (*kernel)(void *), void *data) {
    int code = begin("kernel", 0);
    Object *stream = find(handle, STREAM);
    if (code) return code;
    if (!stream) return failed(INVALID_HANDLE);
    Work work = {.kernel = kernel, .data = data};
    return put(stream, &work, 1);
}

int fakeCapturing(void *handle) {
    Object *stream = find(handle, STREAM);
    return stream && stream->capturing;
}

int fakeIsStream(void *handle) { return find(handle, STREAM) != NULL; }

// A line in the log.
void fakeNote(const char *line) { note(line, 0); }

// Whether `bytes` from there are memory of the GPU.
int fakeIsDevice(const char *address, size_t bytes) { return covered(address, bytes, DEVICE); }
