#include "app/provenance.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <set>

#include "build_info.hpp"
#include "geometry/dense.hpp"
#include "git_hash.hpp"
#include "parallel/session.hpp"

namespace convoy::app {

namespace {

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

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

std::string build_details() {
    const std::string type = CONVOY_BUILD_TYPE;
    return fmt::format(
        "commit    {}\ncompiler  {}\nbuild     {}\nMPI       {}\nHDF5      {} (parallel)\nalgebra   {}\nCUDA      not "
        "built in\n"
        "system    {}\n",
        CONVOY_GIT_HASH, CONVOY_COMPILER, type.empty() ? "no build type" : type, Session::mpi_version(),
        CONVOY_HDF5_VERSION, dense::implementation(), CONVOY_SYSTEM);
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
