#pragma once
// One side's points on the device: all of them, where they fit, or portion after portion from the host, copied while
// the kernels work on the portion before. What is one number a point (norms, weights) always lies there.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/tile.hpp"
#include "kernels/rounded_cloud.hpp"

namespace convoy::cuda {

// Consecutive points of a side, on the device.
template <class T>
struct Portion {
    std::int64_t first = 0, rows = 0;
    const T* points = nullptr;
    SplitPoints split;
    const double* own = nullptr;          // OwnTerm of each point
    const double* log_weights = nullptr;  // log2; -inf for no mass
};

template <class T>
class DeviceCloud {
 public:
    // \param streamed_rows points that lie on the device at a time; 0: all
    // \param split points are wanted in two terms of fp16 as well
    DeviceCloud(const Cloud& cloud, const Cost& cost, const std::vector<double>& centre, const kernels::OwnTerm& own,
                std::int64_t streamed_rows, bool split);

    std::int64_t rows() const { return rows_; }
    double largest_norm() const { return largest_norm_; }
    int exponent() const { return exponent_; }  // of the split points: they are 2^exponent times the points

    // Calls use(portion) for consecutive portions of [first, first + rows). What `use` gives to `compute` is done
    // before the portion's memory is used again; `use` itself does not wait.
    template <class Use>
    void for_each_portion(std::int64_t first, std::int64_t rows, const Stream& compute, const Use& use) {
        if (portion_rows_ == 0) {
            if (rows > 0) use(portion(first, rows, points_.get() + first * dimension_, split_at(first)));
            return;
        }
        for (std::int64_t done = 0; done < rows; done += portion_rows_) {
            const std::int64_t count = std::min(portion_rows_, rows - done);
            Slot& slot = next_slot();
            load(slot, first + done, count, compute);
            use(portion(first + done, count, slot.points.get(), {slot.high.get(), slot.low.get(), stride_}));
            slot.used.record(compute);
        }
    }

 private:
    // What a portion passes through: page-locked memory, then the device's.
    struct Slot {
        Pinned<T> staging;
        Array<T> points;
        Array<__half> high, low;
        Event copied, used;
        bool busy = false;
    };

    Portion<T> portion(std::int64_t first, std::int64_t rows, const T* points, SplitPoints split) const {
        return {first, rows, points, split, own_.get() + first, log_weights_.get() + first};
    }
    SplitPoints split_at(std::int64_t first) const {
        if (!high_) return {};
        return {high_.get() + first * stride_, low_.get() + first * stride_, stride_};
    }
    Slot& next_slot();
    void load(Slot& slot, std::int64_t first, std::int64_t rows, const Stream& compute);

    std::int64_t rows_, dimension_, stride_ = 0;
    std::int64_t portion_rows_;  // 0: all points are here
    double largest_norm_ = 0;
    int exponent_ = 0;
    Array<T> points_;
    Array<__half> high_, low_;
    Array<double> own_, log_weights_;
    std::optional<kernels::RoundedCloud<T>> host_;  // where the points are not resident
    std::unique_ptr<std::array<Slot, 2>> slots_;
    std::unique_ptr<Stream> copies_;
    int slot_ = 0;
};

}  // namespace convoy::cuda
