#include "solvers/device_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "convoy/partition.hpp"
#include "convoy/start.hpp"
#include "convoy/values.hpp"
#include "kernels/block.hpp"
#include "parallel/backend.hpp"
#include "parallel/node.hpp"
#include "solvers/audit.hpp"
#include "solvers/coarse.hpp"

namespace convoy {

namespace {

// Numbers of the averages that are formed: sums alone, and the two that the values of a plan are made of.
constexpr std::int64_t sums_alone = 0, width_of_values = 2;

// The blocks of the largest rank.
class Blocks {
 public:
    Blocks(const PlanRequest& request, GridShape shape) : request_{request}, shape_{shape} {}

    // Of a block over so many points in all.
    CudaBlockSize block(std::int64_t rows, std::int64_t columns, std::int64_t width, bool keep_products = false) const {
        return local(part(rows, shape_.rows), part(columns, shape_.columns), width, keep_products);
    }

    // What an audit of such a problem adds for a while, if it is made on the device.
    void add_audit(BlocksTogether& blocks, std::int64_t rows, std::int64_t columns) const {
        const double work =
            static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(request_.dimension);
        const bool all = work <= full_audit_work;
        const std::int64_t n = part(rows, shape_.rows), m = part(columns, shape_.columns);
        CudaBlockSize largest;
        double most = 0;
        for (const auto& [stays, summed] : {std::pair{n, m}, std::pair{m, n}}) {
            const std::int64_t looked_at = all ? stays : std::min(audit_sample, stays);
            const double pairs = static_cast<double>(looked_at) * static_cast<double>(summed);
            if (audit::backend_for(Backend::cuda, pairs, request_.dimension) != Backend::cuda) continue;
            const std::int64_t piece = std::min(audit::piece_rows(Backend::cuda, request_.dimension), summed);
            CudaBlockSize size = local(looked_at, piece, width_of_values, false);
            size.single = false;
            if (cuda_memory_resident(size) > most) largest = size, most = cuda_memory_resident(size);
        }
        if (most > 0) blocks.push_back(largest);
    }

 private:
    static std::int64_t part(std::int64_t points, int parts) { return Partition::even(points, parts).largest(); }
    CudaBlockSize local(std::int64_t rows, std::int64_t columns, std::int64_t width, bool keep_products) const {
        CudaBlockSize size;
        size.rows = rows;
        size.columns = columns;
        size.dimension = request_.dimension;
        size.single = request_.precision.value_or(Precision::single) == Precision::single;
        size.from_products = request_.cost.uses_products();
        size.width = width;
        size.keep_products = keep_products;
        return size;
    }

    const PlanRequest& request_;
    GridShape shape_;
};

}  // namespace

std::vector<BlocksTogether> device_stages(const PlanRequest& request, GridShape shape, bool keep_products) {
    const Blocks make{request, shape};
    const std::int64_t n = request.rows, m = request.columns, d = request.dimension;
    const std::int64_t width =
        std::max({request.more.wide_averages ? d : 0, request.more.columns_averaged, width_of_values});
    const double pairs = static_cast<double>(n) * static_cast<double>(m);
    std::vector<BlocksTogether> stages;

    // Each side against itself, while the problem itself keeps no products yet.
    if (request.more.self_problems) {
        for (const std::int64_t points : {n, m}) {
            stages.push_back({make.block(n, m, width), make.block(points, points, width, keep_products)});
            make.add_audit(stages.back(), points, points);
        }
    }
    // Points held out against the others, and those against themselves.
    if (request.more.target_itself) {
        stages.push_back({make.block(n, m, width, keep_products), make.block(m, m, width), make.block(m, m, width),
                          make.block(m, m, width_of_values)});
    }
    BlocksTogether solving{make.block(n, m, width, keep_products)};
    if (pairs >= small_problem) {
        // Where to start: some rows judge candidates, samples are solved, and extended to all sources.
        const std::int64_t some = 1024, x = subsample_size(n, d), y = subsample_size(m, d);
        stages.push_back({solving.front(), make.block(some, m, sums_alone), make.block(x, y, sums_alone, keep_products),
                          make.block(n, y, sums_alone), make.block(some, y, sums_alone)});
        solving.push_back(make.block(n, CoarseCorrection::good_size(pairs), 1, keep_products));
    }
    make.add_audit(solving, n, m);
    stages.push_back(std::move(solving));
    return stages;
}

double device_memory_of(const std::vector<BlocksTogether>& stages, bool stream_points) {
    double most = 0;
    for (const BlocksTogether& blocks : stages) most = std::max(most, cuda_memory_of(blocks, stream_points));
    return most;
}

DeviceFit fit_on_device(const std::vector<BlocksTogether>& stages, double limit) {
    const double resident = device_memory_of(stages, false), streamed = device_memory_of(stages, true);
    if (resident <= limit) return {true, false, resident};
    if (streamed <= limit) return {true, true, streamed};
    return {false, streamed < resident, std::min(resident, streamed)};
}

std::string device_in_words(Backend backend, bool stream_points) {
    if (backend != Backend::cuda) return {};
    return stream_points ? ", points streamed" : ", points resident";
}

std::string backend_in_words(Backend backend, const std::string& instruction_set) {
    return name_of(backend) + " backend" + (backend == Backend::reference ? "" : " with " + instruction_set);
}

std::string instruction_set_of(Backend backend, const DevicesInShort& devices) {
    if (backend == Backend::cuda) return devices.instruction_set;
    return backend == Backend::reference ? "none" : cpu_instruction_set();
}

std::string tiling_of(Backend backend) {
    return backend == Backend::cuda ? cuda_tiling() : cpu_tiling();
}

std::string device_memory_in_words(Backend backend, double needed, double limit) {
    if (backend != Backend::cuda) return {};
    return fmt::format(", {} on its device (limit {})", in_bytes(needed), in_bytes(limit));
}

std::vector<std::pair<std::string, std::variant<std::string, double, std::int64_t>>> device_attributes(
    Backend backend, const DevicesInShort& devices, bool stream_points, double needed) {
    if (backend != Backend::cuda) return {{"devices", std::string{"none"}}};
    return {{"devices", devices.words},
            {"ranks_per_device", std::int64_t{devices.ranks_on_one}},
            {"points_on_device", std::string{stream_points ? "streamed" : "resident"}},
            {"device_memory_per_rank_estimate", needed},
            {"device_memory_per_rank_limit", devices.memory}};
}

std::string too_large_for_devices(const std::string& what, double needed, int ranks, const DevicesInShort& devices,
                                  int enough) {
    std::vector<std::string> remedies;
    if (enough > 0) remedies.push_back(fmt::format("with this much for each, {} ranks are enough", enough));
    if (devices.ranks_on_one > 1) remedies.push_back("give each rank a device of its own");
    if (devices.memory_given) remedies.push_back("raise --device-memory");
    if (remedies.empty()) remedies.push_back("use --device cpu");
    return fmt::format("{} {} of device memory for each of {} (allowed are {}{}); {}", what, in_bytes(needed),
                       ranks == 1 ? "1 rank" : fmt::format("{} ranks", ranks), in_bytes(devices.memory),
                       devices.ranks_on_one > 1 ? fmt::format(", {} ranks share a device", devices.ranks_on_one) : "",
                       fmt::join(remedies, ", or "));
}

}  // namespace convoy
