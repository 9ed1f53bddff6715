#include "app/provenance.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <functional>
#include <set>

#include "build_info.hpp"
#include "geometry/dense.hpp"
#include "git_hash.hpp"
#include "kernels/devices.hpp"
#include "parallel/node.hpp"
#include "parallel/session.hpp"

namespace convoy::app {

namespace {

std::int64_t count_nodes(const Communicator& world) {
    // Names meet as numbers that a double holds exactly.
    const auto mine = static_cast<double>(std::hash<std::string>{}(host_name()) >> 12);
    const auto all = world.gather_all(std::span{&mine, 1});
    return static_cast<std::int64_t>(std::set<double>(all.begin(), all.end()).size());
}

}  // namespace

std::string version() {
    return fmt::format("{} ({})", CONVOY_VERSION, CONVOY_GIT_HASH);
}

std::string cuda_details() {
    if (!built_with_cuda()) return "built without CUDA";
    const std::string compiled = CONVOY_CUDA;
    return compiled.empty() ? "emulated" : compiled;
}

std::string build_details() {
    const std::string type = CONVOY_BUILD_TYPE;
    return fmt::format(
        "commit    {}\ncompiler  {}\nbuild     {}\nMPI       {}\nHDF5      {} (parallel)\nalgebra   {}\n"
        "CUDA      {}\nsystem    {}\n",
        CONVOY_GIT_HASH, CONVOY_COMPILER, type.empty() ? "no build type" : type, Session::mpi_version(),
        CONVOY_HDF5_VERSION, dense::implementation(), cuda_details(), CONVOY_SYSTEM);
}

std::string utc_now() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

io::Attributes whereabouts(const Communicator& world, const std::string& command_line) {
    const char* job = std::getenv("SLURM_JOB_ID");
    return {{"nodes", count_nodes(world)},
            {"host", host_name()},
            {"job", std::string{job != nullptr ? job : ""}},
            {"command", command_line}};
}

}  // namespace convoy::app
