#pragma once
// How far mapping is, for a person: a bar on a terminal, else a line every few seconds.

#include <chrono>
#include <cstdint>

#include "app/console.hpp"

namespace convoy::app {

class MapProgress {
 public:
    // \param points in all \param pairs that each of them meets
    MapProgress(Console& console, std::int64_t points, double pairs);

    // So many are done.
    void show(std::int64_t done);
    void finish();

 private:
    using Clock = std::chrono::steady_clock;
    Console& console_;
    std::int64_t points_;
    double pairs_;
    Clock::time_point start_, next_;
};

}  // namespace convoy::app
