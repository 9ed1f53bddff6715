#include "kernels/cuda/device_cloud.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/split_points.hpp"
#include "kernels/device_memory.hpp"

namespace convoy::cuda {

namespace {

// From ordinary memory to the device, through a page-locked buffer.
template <class T>
void upload(const T* from, std::int64_t n, T* to) {
    constexpr std::int64_t piece = std::int64_t{1} << 22;
    const Stream stream;
    Pinned<T> buffers[2] = {Pinned<T>{std::min(n, piece)}, Pinned<T>{n > piece ? piece : 0}};
    Event copied[2];
    for (std::int64_t done = 0; done < n; done += piece) {
        const std::int64_t k = done / piece % 2, count = std::min(piece, n - done);
        if (done >= 2 * piece) copied[k].wait();
        std::copy_n(from + done, count, buffers[k].get());
        copy_to_device(buffers[k].get(), to + done, count, stream);
        copied[k].record(stream);
    }
    stream.wait();
}

double largest_coordinate(const float* points, std::int64_t n) {
    float largest = 0;
#pragma omp parallel for schedule(static) reduction(max : largest) if (n > 100000)
    for (std::int64_t k = 0; k < n; ++k) largest = std::max(largest, std::abs(points[k]));
    return static_cast<double>(largest);
}

}  // namespace

template <class T>
DeviceCloud<T>::DeviceCloud(const Cloud& cloud, const Cost& cost, const std::vector<double>& centre,
                            const kernels::OwnTerm& own, std::int64_t streamed_rows, bool split)
    : rows_{cloud.rows},
      dimension_{cloud.dimension},
      portion_rows_{std::min(streamed_rows, rows_)},
      own_{rows_},
      log_weights_{rows_} {
    host_.emplace(cloud, cost, centre, own);
    largest_norm_ = host_->largest_norm;
    upload(host_->own.data(), rows_, own_.get());
    upload(host_->log_weights.data(), rows_, log_weights_.get());
    if (split) stride_ = stride_of_split(dimension_);
    if constexpr (sizeof(T) == sizeof(float)) {
        if (split) exponent_ = split_exponent(largest_coordinate(host_->points.get(), rows_ * dimension_));
    }
    if (portion_rows_ > 0) {
        copies_ = std::make_unique<Stream>();
        slots_ = std::make_unique<std::array<Slot, 2>>();
        for (Slot& slot : *slots_) {
            slot.staging = Pinned<T>{portion_rows_ * dimension_};
            slot.points = Array<T>{portion_rows_ * dimension_};
            if (split) slot.high = Array<__half>{padded_rows(portion_rows_) * stride_};
            if (split) slot.low = Array<__half>{padded_rows(portion_rows_) * stride_};
        }
        return;
    }
    points_ = Array<T>{rows_ * dimension_};
    upload(host_->points.get(), rows_ * dimension_, points_.get());
    host_.reset();
    if constexpr (sizeof(T) == sizeof(float)) {
        if (split) {
            high_ = Array<__half>{padded_rows(rows_) * stride_};
            low_ = Array<__half>{padded_rows(rows_) * stride_};
            const Stream stream;
            launch_split(points_.get(), rows_, dimension_, exponent_, high_.get(), low_.get(), stride_, stream.get());
            stream.wait();
        }
    }
}

template <class T>
typename DeviceCloud<T>::Slot& DeviceCloud<T>::next_slot() {
    slot_ = 1 - slot_;
    return (*slots_)[static_cast<std::size_t>(slot_)];
}

template <class T>
void DeviceCloud<T>::load(Slot& slot, std::int64_t first, std::int64_t rows, const Stream& compute) {
    if (slot.busy) {
        slot.copied.wait();            // the host may overwrite the page-locked memory
        copies_->wait_for(slot.used);  // and the copy the device's
    }
    std::copy_n(host_->points.get() + first * dimension_, rows * dimension_, slot.staging.get());
    copy_to_device(slot.staging.get(), slot.points.get(), rows * dimension_, *copies_);
    if constexpr (sizeof(T) == sizeof(float)) {
        if (slot.high) {
            launch_split(slot.points.get(), rows, dimension_, exponent_, slot.high.get(), slot.low.get(), stride_,
                         copies_->get());
        }
    }
    slot.copied.record(*copies_);
    compute.wait_for(slot.copied);
    slot.busy = true;
}

template class DeviceCloud<float>;
template class DeviceCloud<double>;

}  // namespace convoy::cuda
