#pragma once
// Times of calls that wait for what they started.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace convoy::bench {

class Clock {
 public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

struct Timing {
    double median = 0, least = 0, most = 0;
    int times = 0;
};

// Until `enough` seconds have passed, three times at least (what takes a third of `longest` is not repeated).
template <class Work>
Timing repeated(const Work& work, double enough, double longest) {
    constexpr int fewest = 3, most = 101;
    const Clock whole;
    std::vector<double> seconds;
    do {
        const Clock clock;
        work();
        seconds.push_back(clock.seconds());
    } while (
        static_cast<int>(seconds.size()) < most &&
        ((static_cast<int>(seconds.size()) < fewest && seconds.front() < longest / 3) || whole.seconds() < enough));
    std::sort(seconds.begin(), seconds.end());
    return {seconds[seconds.size() / 2], seconds.front(), seconds.back(), static_cast<int>(seconds.size())};
}

}  // namespace convoy::bench
