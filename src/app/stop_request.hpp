#pragma once
// Why a run should end early: a signal, or the time limit.

#include <chrono>

#include "convoy/communicator.hpp"

namespace convoy::app {

enum class StopReason { none = 0, time_limit = 1, signal = 2 };

// Counts the time from its construction. Once it listens, the first TERM or INT is noted, for the run to end in order
// and with a line, and the second one kills; USR1, which batch systems send ahead of the end, is noted as often as it
// comes. Before and afterwards signals do what they do by default.
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
    // Until the time limit; infinite where there is none.
    double seconds_left() const;
    // The gravest that any rank has seen. Collective.
    StopReason agreed(const Communicator& world) const;

 private:
    std::chrono::steady_clock::time_point start_;
    double limit_;
};

}  // namespace convoy::app
