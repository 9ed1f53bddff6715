#include "app/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/convergence.hpp"
#include "app/quantities.hpp"

namespace convoy::app {

namespace {

constexpr std::chrono::milliseconds first_line{2000}, between_lines{5000}, between_bars{100};

}  // namespace

Progress::Progress(Console& console, double pairs)
    : console_{console}, pairs_{pairs}, next_{Clock::now()}, half_pass_began_{next_} {
    next_ += console.on_terminal() ? between_bars : first_line;
}

void Progress::begin(const std::string& name) {
    name_ = name;
    next_work_ = name_ + "half-pass 1";
    half_pass_began_ = Clock::now();
    was_annealing_ = false;
    first_error_ = 0;
}

void Progress::show(const SinkhornState& state, const SinkhornOptions& options) {
    const bool last = state.status != Status::running || state.half_passes >= options.max_half_passes;
    next_work_ = name_ + (last ? "values" : fmt::format("half-pass {}", state.half_passes + 1));
    half_pass_began_ = Clock::now();
    if (!console_.shows_progress() || state.history.empty()) return;

    const bool annealed = was_annealing_ && !state.annealing;
    was_annealing_ = state.annealing;
    const auto now = Clock::now();
    if (!annealed && now < next_) return;
    next_ = now + (console_.on_terminal() ? between_bars : between_lines);

    if (console_.on_terminal()) {
        console_.draw(bar(state, options));
    } else {
        console_.say(line(state, options));
    }
}

void Progress::within(double share) {
    const auto now = Clock::now();
    if (!console_.shows_progress() || share >= 1 || now < next_) return;
    const double seconds = std::chrono::duration<double>(now - half_pass_began_).count();
    const auto pause = console_.on_terminal() ? between_bars : between_lines;
    // A line for every few seconds would be a long log where a half-pass takes minutes: four a half-pass then.
    const auto quarter = std::chrono::duration<double>(seconds / share / 4);
    next_ = now + std::max<Clock::duration>(pause, std::chrono::duration_cast<Clock::duration>(quarter));
    const std::string text =
        fmt::format("{}: {:.0f} % done, {:.2g} pairs/s, about {} left of it", next_work_, 100 * share,
                    share * pairs_ / seconds, duration_text(seconds / share * (1 - share)));
    if (console_.on_terminal()) {
        console_.draw(text);
    } else {
        console_.say(text);
    }
}

void Progress::finish() {
    console_.draw("");
}

double Progress::pace(const SinkhornState& state) {
    const auto count = std::min<std::size_t>(state.history.size(), 20);
    const HalfPass& last = state.history.back();
    const HalfPass& first = state.history[state.history.size() - count];
    return count > 1 ? (last.seconds - first.seconds) / static_cast<double>(count - 1) : last.seconds;
}

std::string Progress::line(const SinkhornState& state, const SinkhornOptions& options) const {
    const double seconds = pace(state);
    const HalfPass& last = state.history.back();
    std::string text = fmt::format("{}half-pass {}, ", name_, last.number);
    if (last.epsilon > options.epsilon * (1 + 1e-12)) {
        text += fmt::format("annealing: epsilon {:.4g} on its way to {:.4g}", last.epsilon, options.epsilon);
    } else {
        text += fmt::format("epsilon {:.4g}", last.epsilon);
        // Only some half-passes measure an error: the last one that did speaks.
        if (state.marginal_error > 0) text += fmt::format(", error {:.1e}", state.marginal_error);
        text += fmt::format(" (goal {:.1e})", options.tolerance);
    }
    if (seconds > 0) text += fmt::format(", {:.2g} pairs/s", pairs_ / seconds);
    if (const auto left = half_passes_left(state.history, options.tolerance); left && !state.annealing) {
        text += fmt::format(", about {} left", duration_text(*left * seconds));
    }
    return text;
}

std::string Progress::bar(const SinkhornState& state, const SinkhornOptions& options) {
    constexpr int width = 20;
    const double error = state.marginal_error;
    const bool measured = !state.annealing && error > 0;
    if (measured && first_error_ == 0) first_error_ = error;
    const double whole = std::log(first_error_ / options.tolerance);
    const double part = measured && whole > 0 ? std::clamp(std::log(first_error_ / error) / whole, 0.0, 1.0) : 0.0;
    const int filled = static_cast<int>(part * width);
    return fmt::format("[{:#<{}}{:.<{}}] {}", "", filled, "", width - filled, line(state, options));
}

}  // namespace convoy::app
