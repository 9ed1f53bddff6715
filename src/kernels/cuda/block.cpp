// The CUDA backend. A call goes through these steps, all of them given to one stream before anything is waited for:
//
//     potentials of both sides to the device, as given (call.cpp)
//     for every portion of the staying side, for every portion of the summed side (one of each, where points fit):
//         the numbers of single points, in the kernels' precision (numbers.cu)
//         shifted sums    one kernel; partial sums of the chunks, joined (sums.cpp)
//         all else        tiles of logits that stay in the L2 cache, and what is made of them (averages.cpp, picks.cpp)
//     corrections; results to the host
//
// Which kernel forms the products is decided in BlockPoints::forms_of(), by the cost, the precision and the dimension.

#include <algorithm>
#include <limits>
#include <memory>
#include <numbers>

#include "kernels/block.hpp"
#include "kernels/cuda/call.hpp"

namespace convoy {

namespace {

using namespace cuda;

// From the device, through page-locked memory.
template <class T>
void fetch(Workspace<T>& w, const double* from, std::int64_t n, std::vector<double>& to) {
    constexpr std::int64_t piece = std::int64_t{1} << 22;
    to.resize(static_cast<std::size_t>(n));
    w.host_results.need(std::min(n, piece));
    for (std::int64_t done = 0; done < n; done += piece) {
        const std::int64_t count = std::min(piece, n - done);
        copy_to_host(from + done, w.host_results.get(), count, w.stream);
        w.stream.wait();
        std::copy_n(w.host_results.get(), count, to.begin() + done);
    }
}

template <class T>
class CudaBlock final : public Block {
 public:
    explicit CudaBlock(const BlockProblem& problem) : points_{problem} {
        if constexpr (sizeof(T) == sizeof(float)) {
            if (problem.keep_products && problem.cost.uses_products()) cuda::keep_products(points_, work_);
        }
    }

    void reduce(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
                Sums& out) const override {
        std::vector<double> none;
        run({stays, range, epsilon, safety == Safety::safe}, potentials, out, none);
    }

    void apply(Side stays, LocalRun range, const Potentials& potentials, double epsilon, Safety safety,
               const Weighting& weighting, Sums& out, std::vector<double>& values) const override {
        run({stays, range, epsilon, safety == Safety::safe, &weighting}, potentials, out, values);
    }

    // On a block in fp64, made when it is first wanted.
    void pick(Side stays, LocalRun range, const Potentials& potentials, double epsilon, const PickRule& rule,
              Picks& out) const override {
        if constexpr (sizeof(T) == sizeof(double)) {
            cuda::pick(points_, work_, stays, range, potentials, epsilon, rule, out);
        } else {
            if (!exact_) {
                BlockProblem exact = points_.problem();
                exact.precision = Precision::fp64;
                exact.keep_products = false;
                exact_ = std::make_unique<CudaBlock<double>>(exact);
            }
            exact_->pick(stays, range, potentials, epsilon, rule, out);
        }
    }

    double rounding_of_cost() const override {
        const double ulp = static_cast<double>(std::numeric_limits<T>::epsilon());
        const double source = points_.side(Side::row).largest_norm(),
                     target = points_.side(Side::column).largest_norm();
        const double largest = std::max(source, target);
        const Cost& cost = points_.problem().cost;
        if (cost.uses_products()) return ulp * cost.product_factor() / 2 * largest * largest;
        return ulp * cost.range_bound(source, target);
    }

    Kept kept_products() const override {
        return {static_cast<double>(points_.kept.size()) * sizeof(float), points_.seconds_of_products};
    }

    double pairs_of_a_part() const override { return 1e12; }

 private:
    void run(const Request& asked, const Potentials& potentials, Sums& out, std::vector<double>& values) const {
        const CostForm form =
            kernels::form_of_call(points_.problem().cost, asked.weighting, static_cast<bool>(points_.kept));
        // A view of kept columns begins at a multiple of four of them, as vector loads want it: `early` rows more.
        const bool columns_of_kept = form.form == PairForm::kept && asked.stays == Side::column;
        const std::int64_t early = columns_of_kept && asked.range.count > 0 ? asked.range.first.value % 4 : 0;
        Request request = asked;
        request.range = {LocalIndex{asked.range.first.value - early}, asked.range.count + early};
        const Call<T> call{points_, work_, request, points_.forms_of(form, request.scale()),
                           PotentialRule{request.scale(), kernels::own_terms_count(form.form), true}};
        const Averages<T> averages{call};
        const bool sums_alone = !request.safe && request.weighting == nullptr;
        call.upload(potentials);
        call.clear_results();
        averages.upload_columns();
        call.for_each_part([&](const Part<T>& part) {
            if (sums_alone) {
                add_sums(call, part);
            } else {
                averages.add(part);
            }
        });
        averages.finish();
        finish(request);
        out.dropped.clear();
        out.max.clear();
        fetch(work_, work_.sums.get() + early, asked.range.count, out.sum);
        if (request.safe) fetch(work_, work_.largest.get() + early, asked.range.count, out.max);
        fetch(work_, work_.values.get() + early * request.width(), asked.range.count * request.width(), values);
        work_.stream.wait();
    }

    // Corrections, means, units.
    void finish(const Request& request) const {
        Finish<T> finish;
        finish.rows = request.range.count;
        finish.width = request.width();
        finish.corrections = work_.corrections.get();
        finish.maximum = request.safe ? work_.maximum.get() : nullptr;
        finish.means = request.is(Weighting::Kind::columns) ? work_.means.get() : nullptr;
        finish.second_unit =
            request.is(Weighting::Kind::values) ? std::numbers::ln2 : 1;  // densities are kept in log 2
        finish.sums = work_.sums.get();
        finish.largest = work_.largest.get();
        finish.values = work_.values.get();
        launch_finish(finish, work_.stream.get());
    }

    mutable BlockPoints<T> points_;  // portions pass through them
    mutable Workspace<T> work_;
    mutable std::unique_ptr<Block> exact_;
};

}  // namespace

std::unique_ptr<Block> make_cuda_block(const BlockProblem& problem) {
    if (problem.precision == Precision::single) return std::make_unique<CudaBlock<float>>(problem);
    return std::make_unique<CudaBlock<double>>(problem);
}

}  // namespace convoy
