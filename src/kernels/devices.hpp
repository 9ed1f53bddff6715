#pragma once
// The accelerators of this node, and the one that this process uses. Without CUDA compiled in there are none.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace convoy {

struct CudaDevice {
    std::string name;      // as the driver tells it
    std::string identity;  // its UUID: two processes with one of these share a device
    double memory = 0;     // bytes
    int capability = 0;    // 10 major + minor: 80, 90, ...
};

bool built_with_cuda();
// Those that this process may see (CUDA_VISIBLE_DEVICES). Empty where there is none, or no driver that works.
std::vector<CudaDevice> cuda_devices();
// Why there are none, in a few words; empty where there are some.
std::string why_no_cuda_device();

// From now on this process computes on the device with this number among the visible ones, and holds at most `memory`
// bytes there. Before the first block. \param stream_points blocks keep no points on the device, also where one alone
// would fit: all that will lie there at a time does not. \throws Failure
void use_cuda_device(int number, double memory, bool stream_points = false);

// What a block of these sizes takes on a device. Pure arithmetic, the same with and without CUDA compiled in.
struct CudaBlockSize {
    std::int64_t rows = 0, columns = 0, dimension = 0;
    bool single = true;         // precision
    bool from_products = true;  // Cost::uses_products()
    std::int64_t width = 0;     // of the widest average that will be asked for
    bool keep_products = false;
};
double cuda_memory_resident(const CudaBlockSize& size);  // all points on the device
double cuda_memory_streamed(const CudaBlockSize& size);  // points pass through it in tiles: the least there must be
double cuda_memory_of_products(const CudaBlockSize& size);
// What the driver itself takes for a process: in the figures of one block, and no bytes that this process holds.
double cuda_memory_of_driver();
// Of blocks that are there at the same time, the driver's counted once.
double cuda_memory_of(std::span<const CudaBlockSize> blocks, bool stream_points);
// How blocks cut their work, for the record.
std::string cuda_tiling();
// Whether keeping products is quicker than computing them in every pass.
bool cuda_products_pay(std::int64_t dimension);

}  // namespace convoy
