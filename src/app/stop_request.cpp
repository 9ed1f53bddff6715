#include "app/stop_request.hpp"

#include <csignal>
#include <limits>

namespace convoy::app {

namespace {

volatile std::sig_atomic_t signalled = 0;

extern "C" void note_signal(int signal) {
    signalled = 1;
    if (signal == SIGUSR1) return;
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
}

}  // namespace

StopRequest::StopRequest(double seconds) : start_{std::chrono::steady_clock::now()}, limit_{seconds} {}

StopRequest::~StopRequest() {
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGUSR1, SIG_DFL);
}

void StopRequest::listen() {
    std::signal(SIGTERM, note_signal);
    std::signal(SIGUSR1, note_signal);
    // A shell starts background jobs with INT ignored: they keep ignoring it.
    if (std::signal(SIGINT, note_signal) == SIG_IGN) std::signal(SIGINT, SIG_IGN);
}

StopReason StopRequest::seen() const {
    if (signalled != 0) return StopReason::signal;
    return seconds_left() <= 0 ? StopReason::time_limit : StopReason::none;
}

double StopRequest::seconds_left() const {
    if (!(limit_ > 0)) return std::numeric_limits<double>::infinity();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    return limit_ - elapsed.count();
}

StopReason StopRequest::agreed(const Communicator& world) const {
    double reason = static_cast<double>(seen());
    world.max(std::span{&reason, 1});
    return static_cast<StopReason>(static_cast<int>(reason));
}

}  // namespace convoy::app
