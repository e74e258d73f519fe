// What CUDA's own calculation says: a line for each of many kernels, with architecture, threads,
// registers, bytes of shared memory, and blocks. Arguments: for each architecture its number and
// the most warps, blocks and bytes that a multiprocessor holds.
#include <cuda_occupancy.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>

int main(int count, char** arguments) {
    for (int i = 1; i + 3 < count; i += 4) {
        const int architecture = std::atoi(arguments[i]);
        const int warps = std::atoi(arguments[i + 1]), shared = std::atoi(arguments[i + 3]);
        cudaOccDeviceProp device = {};
        device.computeMajor = architecture / 10;
        device.computeMinor = architecture % 10;
        device.maxThreadsPerBlock = 1024;
        device.maxThreadsPerMultiprocessor = 32 * warps;
        device.regsPerBlock = device.regsPerMultiprocessor = 65536;
        device.warpSize = 32;
        device.sharedMemPerBlock = 48 << 10;
        device.sharedMemPerMultiprocessor = shared;
        device.numSms = 1;
        device.sharedMemPerBlockOptin = shared - 1024;
        device.reservedSharedMemPerBlock = 1024;
        for (int threads : {32, 64, 96, 128, 160, 256, 384, 512, 1024}) {
            for (int registers = 16; registers <= 255; registers += 13) {
                for (int bytes : {0, 1, 128, 3000, 20000, 49152, 60000, 99000}) {
                    cudaOccFuncAttributes kernel = {};
                    kernel.maxThreadsPerBlock = 1024;
                    kernel.numRegs = registers;
                    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
                    kernel.maxDynamicSharedSizeBytes = shared;
                    const cudaOccDeviceState state;
                    cudaOccResult result;
                    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state,
                                                                threads,
                                                                bytes) != CUDA_OCC_SUCCESS) {
                        continue;
                    }
                    std::printf("%d %d %d %d %d\n", architecture, threads, registers, bytes,
                                result.activeBlocksPerMultiprocessor);
                }
            }
        }
    }
}
