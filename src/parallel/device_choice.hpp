#pragma once
// Which device each rank computes on: settled before the plan is, from what all ranks see, in the same words on all.

#include <optional>
#include <string>
#include <vector>

#include "convoy/communicator.hpp"
#include "convoy/coupling.hpp"
#include "kernels/devices.hpp"

namespace convoy {

// What is asked for (--device, --device-memory).
struct DeviceRequest {
    enum class Kind { automatic, cpu, cuda, reference };
    Kind kind = Kind::automatic;
    std::optional<int> number;     // the same one of those that it sees for every rank; nothing: dealt out
    std::optional<double> memory;  // bytes that a rank may hold; nothing: its share
};

// What one rank sees.
struct DeviceView {
    std::string host;
    int rank_on_node = 0;
    std::vector<CudaDevice> devices;
    std::string why_none;  // in a few words
};

// What one rank is given.
struct DeviceUse {
    int number = 0;     // among those that it sees
    int ranks = 1;      // of this run that are given the same device, this one included
    double memory = 0;  // bytes there that it may take, the driver's own included
    CudaDevice device;
};

// What a plan, and a reader of the log, needs to know of all of them.
struct DevicesInShort {
    double memory = 0;            // bytes that the rank with the smallest share may take
    bool memory_given = false;    // by --device-memory
    int ranks_on_one = 0;         // that share the busiest device
    std::string instruction_set;  // sm_90
    std::string words;            // ranks 0-3 on node7: 4 x NVIDIA H200 (140 GiB each)
};

struct DeviceChoice {
    Backend backend = Backend::cpu;
    std::vector<DeviceUse> uses;  // by rank; empty where no devices are used
    DevicesInShort in_short;
    // Why the run is on the CPU though this build could do better, where nobody asked for that.
    std::string warning;
};

// Share of a device's memory that is ours: the rest is the drivers', and a margin for what they do not say.
inline constexpr double device_memory_share = 0.9;

// Pure: from the views of all ranks. Ranks of a node take turns among the devices that they see, whether each of them
// sees all (a plain allocation) or only its own (one that binds); who shares one is known by its identity.
// \throws InputError where what is asked for cannot be had, naming the rank that lacks it
DeviceChoice choose_devices(const DeviceRequest& request, const std::vector<DeviceView>& views);

// From what the ranks of this run see; looks only where a device may be wanted. Collective.
DeviceChoice choose_devices(const Communicator& world, const DeviceRequest& request);

// Every rank opens its device. Before the first block. Collective.
void use_devices(const Communicator& world, const DeviceChoice& choice, bool stream_points);

// A rank's view as text, and back.
std::string packed(const DeviceView& view);
DeviceView unpacked(const std::string& text);

}  // namespace convoy
