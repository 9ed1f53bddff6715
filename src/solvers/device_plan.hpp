#pragma once
// What the blocks of a run take on the device of the largest rank. Pure arithmetic.

#include <string>
#include <vector>

#include "kernels/devices.hpp"
#include "solvers/plan.hpp"

namespace convoy {

// Blocks that are on one device at the same time.
using BlocksTogether = std::vector<CudaBlockSize>;

// The stages of solving, each with what is there then: the problem, and beside it self problems, samples, the audit.
std::vector<BlocksTogether> device_stages(const PlanRequest& request, GridShape shape, bool keep_products);

// The largest of several stages. Kept products stay on the device, points that are streamed do not.
double device_memory_of(const std::vector<BlocksTogether>& stages, bool stream_points);

// How a run can be laid out on devices: with all points on them, else streamed; nothing where neither fits.
struct DeviceFit {
    bool fits = false, stream_points = false;
    double memory = 0;  // of the layout, or the least that would be needed
};
DeviceFit fit_on_device(const std::vector<BlocksTogether>& stages, double limit);

// ", points streamed", and so on, for the line that tells a plan. Empty where no device is used.
std::string device_in_words(Backend backend, bool stream_points);
// The backend and what it computes with: cuda backend with sm_90.
std::string backend_in_words(Backend backend, const std::string& instruction_set);
std::string instruction_set_of(Backend backend, const DevicesInShort& devices);
std::string tiling_of(Backend backend);
// ", on its device 6.1 GiB (limit 125 GiB)"
std::string device_memory_in_words(Backend backend, double needed, double limit);
// What a result keeps of all that.
std::vector<std::pair<std::string, std::variant<std::string, double, std::int64_t>>> device_attributes(
    Backend backend, const DevicesInShort& devices, bool stream_points, double needed);

// The refusal of what no layout makes fit. \param enough ranks that would do, with as much for each; 0: none would
std::string too_large_for_devices(const std::string& what, double needed, int ranks, const DevicesInShort& devices,
                                  int enough);

}  // namespace convoy
