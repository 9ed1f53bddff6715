#include "parallel/node.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "parallel/session.hpp"

namespace convoy {

namespace {

double number_in(const std::filesystem::path& file) {
    std::ifstream in{file};
    double value = 0;
    return in >> value ? value : std::numeric_limits<double>::infinity();  // "max" is no number: no limit
}

// The tightest limit from this process's control group up to the root (version 2, then version 1's layout).
double control_group_limit() {
    namespace fs = std::filesystem;
    double limit =
        std::min(number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"), number_in("/sys/fs/cgroup/memory.max"));
    std::ifstream groups{"/proc/self/cgroup"};
    for (std::string line; std::getline(groups, line);) {
        const auto colon = line.rfind(':');
        const bool version2 = line.starts_with("0::");
        if (colon == std::string::npos || (!version2 && line.find(":memory:") == std::string::npos)) continue;
        const fs::path root = version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
        for (fs::path at = line.substr(colon + 1); at.has_relative_path(); at = at.parent_path()) {
            const fs::path folder = root / at.relative_path();
            limit = std::min(limit, number_in(folder / (version2 ? "memory.max" : "memory.limit_in_bytes")));
        }
    }
    return limit;
}

}  // namespace

Node this_node() {
    Node node;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) node.cores = std::max(CPU_COUNT(&set), 1);
    const double physical = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
    node.memory = std::min(physical, control_group_limit());
    node.ranks = Session::ranks_on_node();
    return node;
}

NodeShare share_of_node(const Communicator& world) {
    const Node node = this_node();
    // A launcher that binds gives each rank its own cores; without binding all ranks see all of them.
    const bool bound = node.cores < static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    const int cores = bound ? node.cores : std::max(node.cores / node.ranks, 1);
    std::array<double, 2> largest{-static_cast<double>(cores), -node.memory / node.ranks};
    world.max(largest);
    return {static_cast<int>(-largest[0]), -largest[1]};
}

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string in_bytes(double bytes) {
    const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) bytes /= 1024, ++unit;
    return fmt::format("{:.{}f} {}", bytes, bytes < 10 && unit > 0 ? 1 : 0, units[unit]);
}

}  // namespace convoy
