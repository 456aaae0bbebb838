// SPDX-License-Identifier: Apache-2.0
// Crops of people on an NVIDIA GPU: one kernel for all people in an image.
//
// pixels (height, width, 3): blue, green and red; geometry (B, 5): x and y of the first pixel of a
// crop, the step from one to the next, and width and height of `pixels`, all in pixels; crops
// (B, 256, 256, 3). Bilinear interpolation, black outside. Pixels' centres have integer coordinates.
//
// After a change: python -m tools.compile_crop_kernel. The same source is compiled as C, with the
// macros that it uses, for tests on a CPU.

#ifdef __CUDACC__
#define KERNEL extern "C" __global__
#endif

#define SIDE 256
#define GEOMETRY 5

// One colour of a pixel; black outside.
static __device__ float colour(const unsigned char *pixels, double width, double height, double x,
                               double y, int channel) {
    if (x < 0.0 || y < 0.0 || x >= width || y >= height) return 0.0f;
    return pixels[((long long)y * (long long)width + (long long)x) * 3 + channel];
}

// A colour of the crop at a row and column, from 0 to 255.
static __device__ float cropped(const unsigned char *pixels, const double *geometry, int row,
                                int column, int channel) {
    const double width = geometry[3], height = geometry[4];
    const double x = geometry[0] + geometry[2] * column, y = geometry[1] + geometry[2] * row;
    const double left = floor(x), top = floor(y);
    const float right = (float)(x - left), low = (float)(y - top);
    const float a = colour(pixels, width, height, left, top, channel);
    const float b = colour(pixels, width, height, left + 1.0, top, channel);
    const float c = colour(pixels, width, height, left, top + 1.0, channel);
    const float d = colour(pixels, width, height, left + 1.0, top + 1.0, channel);
    const float upper = a + right * (b - a), lower = c + right * (d - c);
    return upper + low * (lower - upper);
}

// Blocks: (SIDE / blockDim.x, SIDE / blockDim.y, B).
#define FOR_EACH_COLOUR(WRITE)                                                             \
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);                       \
    const int row = (int)(blockIdx.y * blockDim.y + threadIdx.y);                          \
    const double *place = geometry + GEOMETRY * blockIdx.z;                                \
    const long long first = (((long long)blockIdx.z * SIDE + row) * SIDE + column) * 3;    \
    for (int channel = 0; channel < 3; channel++) {                                        \
        const float value = cropped(pixels, place, row, column, channel);                  \
        crops[first + channel] = WRITE;                                                    \
    }

KERNEL void crop_to_floats(const unsigned char *pixels, const double *geometry, float *crops) {
    FOR_EACH_COLOUR(value)
}

KERNEL void crop_to_bytes(const unsigned char *pixels, const double *geometry,
                          unsigned char *crops) {
    FOR_EACH_COLOUR((unsigned char)(value + 0.5f))
}
