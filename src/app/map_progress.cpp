#include "app/map_progress.hpp"

#include <fmt/format.h>

#include "app/quantities.hpp"

namespace convoy::app {

namespace {

constexpr std::chrono::milliseconds first_line{2000}, between_lines{5000}, between_bars{100};

}  // namespace

MapProgress::MapProgress(Console& console, std::int64_t points, double pairs)
    : console_{console}, points_{points}, pairs_{pairs}, start_{Clock::now()}, next_{start_} {
    next_ += console.on_terminal() ? between_bars : first_line;
}

void MapProgress::show(std::int64_t done) {
    const auto now = Clock::now();
    if (!console_.shows_progress() || done == 0 || done >= points_ || now < next_) return;
    next_ = now + (console_.on_terminal() ? between_bars : between_lines);
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double share = static_cast<double>(done) / static_cast<double>(points_);
    const std::string text = fmt::format(
        "mapped {} of {} points ({:.0f} %), {:.2g} pairs/s, about {} left", count_text(done), count_text(points_),
        100 * share, static_cast<double>(done) * pairs_ / seconds, duration_text(seconds / share * (1 - share)));
    if (console_.on_terminal()) {
        console_.draw(text);
    } else {
        console_.say(text);
    }
}

void MapProgress::finish() {
    console_.draw("");
}

}  // namespace convoy::app
