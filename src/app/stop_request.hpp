#pragma once
// Why a run should end early: a signal, or the time limit.

#include <chrono>

#include "convoy/communicator.hpp"

namespace convoy::app {

enum class StopReason { none = 0, time_limit = 1, signal = 2 };

// Counts the time from its construction. While `listening`, the first TERM or INT is noted and the second one kills;
// otherwise signals do what they do by default (there is nothing to lose yet, or too much).
class StopRequest {
 public:
    // \param seconds 0: no limit
    explicit StopRequest(double seconds);
    ~StopRequest();
    StopRequest(const StopRequest&) = delete;
    StopRequest& operator=(const StopRequest&) = delete;

    void listen();
    // What this rank has seen. Cheap: asked after every half-pass.
    StopReason seen() const;
    // The gravest that any rank has seen. Collective.
    StopReason agreed(const Communicator& world) const;

 private:
    std::chrono::steady_clock::time_point start_;
    double limit_;
};

}  // namespace convoy::app
