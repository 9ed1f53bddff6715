#include "streams.hpp"

#include <algorithm>
#include <utility>

#include "chance.hpp"

namespace emulation {

void Queue::push(Work work) {
    last_ = work.end;
    work_.push_back(std::move(work));
}

void Queue::step() {
    const MarkPointer end = work_.front().end;
    const std::vector<MarkPointer> after = work_.front().after;
    for (const MarkPointer& mark : after) {
        while (!mark->reached) mark->queue->step();
    }
    const Work work = std::move(work_.front());
    work_.pop_front();
    if (work.run) work.run();
    end->reached = true;
    end->when = std::chrono::steady_clock::now();
}

Queue& AllStreams::create(int device, bool blocking) {
    entries_.push_back({std::make_unique<Queue>(device, blocking), false});
    return *entries_.back().queue;
}

void AllStreams::destroy(Queue& queue) {
    for (Entry& entry : entries_) {
        if (entry.queue.get() == &queue) entry.destroyed = true;
    }
    forget_destroyed();
}

// Marks of a queue that is empty are all reached: nobody asks it any more.
void AllStreams::forget_destroyed() {
    std::erase_if(entries_, [](const Entry& entry) { return entry.destroyed && entry.queue->empty(); });
}

Queue& AllStreams::default_of(int device) {
    const auto number = static_cast<std::size_t>(device);
    if (defaults_.size() <= number) defaults_.resize(number + 1);
    if (defaults_[number] == nullptr) defaults_[number] = &create(device, true);
    return *defaults_[number];
}

bool AllStreams::knows(const Queue* queue) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Entry& entry) { return entry.queue.get() == queue && !entry.destroyed; });
}

MarkPointer AllStreams::give(Queue& queue, std::function<void()> run, std::vector<MarkPointer> after,
                             std::vector<Bytes> host) {
    Queue& common = default_of(queue.device());
    if (&queue == &common) {
        for (const Entry& entry : entries_) {
            const Queue& other = *entry.queue;
            if (&other == &queue || other.device() != queue.device() || !other.waits_for_default()) continue;
            if (other.last() != nullptr) after.push_back(other.last());
        }
    } else if (queue.waits_for_default() && common.last() != nullptr) {
        after.push_back(common.last());
    }
    auto end = std::make_shared<Mark>();
    end->queue = &queue;
    queue.push({std::move(run), std::move(after), end, std::move(host)});
    if (when == Streams::eager) reach(end);
    if (when == Streams::shuffled) go_on_by_chance();
    return end;
}

void AllStreams::reach(const MarkPointer& mark) {
    if (when == Streams::shuffled) go_on_by_chance();
    while (!mark->reached) mark->queue->step();
}

void AllStreams::drain(Queue& queue) {
    while (!queue.empty()) queue.step();
}

// The youngest stream first: that is not the order in which work was given.
void AllStreams::drain_device(int device) {
    for (std::size_t e = entries_.size(); e-- > 0;) {
        if (entries_[e].queue->device() == device) drain(*entries_[e].queue);
    }
    forget_destroyed();
}

bool AllStreams::touches(Bytes host) const {
    for (const Entry& entry : entries_) {
        for (const Work& work : entry.queue->work()) {
            for (const Bytes& bytes : work.host) {
                if (bytes.begin < host.begin + host.count && host.begin < bytes.begin + bytes.count) return true;
            }
        }
    }
    return false;
}

std::int64_t AllStreams::pending() const {
    std::int64_t count = 0;
    for (const Entry& entry : entries_) count += static_cast<std::int64_t>(entry.queue->work().size());
    return count;
}

void AllStreams::go_on_by_chance() {
    Chance chance{++seed_};
    for (const Entry& entry : entries_) {
        while (!entry.queue->empty() && chance.below(3) == 0) entry.queue->step();
    }
}

}  // namespace emulation
