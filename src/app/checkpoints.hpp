#pragma once
// The checkpoints of one run: when they are written, what stands in all of them, and what a run takes from the one that
// it goes on from.

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/checkpoint_options.hpp"
#include "app/console.hpp"
#include "app/options.hpp"
#include "app/phases.hpp"
#include "app/stop_request.hpp"
#include "convoy/coupling.hpp"
#include "io/checkpoint.hpp"
#include "io/model.hpp"

namespace convoy::app {

// The run ends here, and can be gone on with: exit code 75. Thrown on all ranks alike.
class Suspended : public std::exception {
 public:
    explicit Suspended(std::string line) : line_{std::move(line)} {}
    const char* what() const noexcept override { return line_.c_str(); }

 private:
    std::string line_;
};

class Checkpoints {
 public:
    Checkpoints(const Communicator& world, CheckpointOptions options);

    bool on() const { return options_.on(); }
    bool light() const { return options_.light; }
    // Nothing: the run starts afresh.
    const io::StoredCheckpoint* stored() const { return options_.stored.get(); }
    // Where a solver finds its state; nothing where it begins, or has taken it.
    const io::StoredCheckpoint* state() const { return state_is_taken_ ? nullptr : stored(); }
    void state_is_taken() { state_is_taken_ = true; }

    // Says what there is to say of what was found.
    void tell(Console& console) const;

    // --- the problem and the plan ---

    // What the plan had is asked for again, as far as the command line says nothing else and the ranks are as many.
    void ask_for_plan(MachineOptions& machine, SolverOptions& solver) const;
    // From here on every checkpoint holds the plan. Says where it differs from the one that is gone on with.
    void set_plan(const io::Attributes& plan, Console& console);
    // Likewise an input. \throws InputError if the stored run had another one
    void set_input(const std::string& name, const io::InputIdentity& input);
    // And anything else that tells runs apart.
    void set_fact(const std::string& name, const std::string& what, const std::string& value);
    // On this grid the stored run has worked, too: what was written part by part can be read.
    bool same_parts(const Grid& grid) const;

    // --- writing ---

    // What a run adds to the checkpoint that is handed in: its state.
    using Snapshot = std::function<void(io::Checkpoint&)>;
    // Wherever the state is one to go on from: writes a checkpoint where it is time to, and throws Suspended after that
    // where the run is to end. Collective.
    // \param done how far it is, in words, e.g. "40 half-passes"
    // \param in_any_case whether it is time to or not
    void at_boundary(const Grid& grid, const StopRequest& stop, Console& console, Phases& phases,
                     const std::function<std::string()>& done, const Snapshot& snapshot, bool in_any_case = false);
    // What stands in every checkpoint beside the state that is handed in.
    void also(Snapshot more) { also_ = std::move(more); }
    // Ends the run here where it is to end, with what was written so far: nothing is worth a checkpoint yet. A time
    // limit that is reached here is too short. \throws Suspended, Failure \param doing e.g. "reading". Collective.
    void end_without_one(const StopRequest& stop, const std::string& doing) const;
    // The result is written: nobody needs them any more. Collective.
    void remove();

    // --- the run over all its restarts ---

    // run_id, resumes, seconds_before: for results.
    io::Attributes attributes() const;
    std::int64_t resumes() const { return resumes_; }
    double seconds_before() const { return seconds_before_; }

 private:
    using Clock = std::chrono::steady_clock;
    enum class Wish { go_on = 0, write = 1, end = 2 };
    Wish wish(const StopRequest& stop) const;
    double seconds_since(Clock::time_point then) const;

    const Communicator& world_;
    CheckpointOptions options_;
    io::Attributes plan_;
    Snapshot also_;
    std::string run_id_;
    std::int64_t resumes_ = 0;
    double seconds_before_ = 0;
    bool last_is_good_ = true, written_ = false, state_is_taken_ = false;
    Clock::time_point begin_ = Clock::now(), last_write_ = begin_;
    std::optional<Clock::time_point> last_boundary_;  // nothing: there was none yet
    double longest_stretch_ = 0, longest_write_ = 0;  // seconds between boundaries, of writing
};

// What tells one result or model from another.
std::string checksums_of(const io::Model& model);

// A solver's state into a checkpoint, and out of it: archives of state_fields.hpp.
class StateWriter {
 public:
    StateWriter(io::Checkpoint& into, const Coupling& coupling, bool light)
        : into_{into}, coupling_{&coupling}, light_{light} {}
    explicit StateWriter(io::Checkpoint& into) : into_{into} {}  // of no problem: no parts
    bool light() const { return light_; }
    void number(const std::string& name, double value) { into_.state.emplace_back(name, value); }
    void count(const std::string& name, std::int64_t value) { into_.state.emplace_back(name, value); }
    void flag(const std::string& name, bool value) { count(name, value ? 1 : 0); }
    void text(const std::string& name, const std::string& value) { into_.state.emplace_back(name, value); }
    // The values are looked at when the checkpoint is written.
    void part(const std::string& name, Side side, const std::vector<double>& values) {
        into_.parts.push_back({name, side, &coupling_->cloud(side).partition, values});
    }
    void table(const std::string& name, const std::vector<double>& values) { into_.tables.emplace_back(name, values); }

 private:
    io::Checkpoint& into_;
    const Coupling* coupling_ = nullptr;
    bool light_ = false;
};

class StateReader {
 public:
    StateReader(const io::StoredCheckpoint& from, const Coupling& coupling)
        : from_{from}, coupling_{&coupling}, light_{from.count("light") != 0} {}
    explicit StateReader(const io::StoredCheckpoint& from) : from_{from} {}  // of no problem: no parts
    bool light() const { return light_; }
    void number(const std::string& name, double& value) const { value = from_.number(name); }
    void count(const std::string& name, std::int64_t& value) const { value = from_.count(name); }
    void flag(const std::string& name, bool& value) const { value = from_.count(name) != 0; }
    void text(const std::string& name, std::string& value) const { value = from_.text(name); }
    void part(const std::string& name, Side side, std::vector<double>& values) const {
        values = from_.part(coupling_->grid(), side, coupling_->cloud(side).partition, name);
    }
    void table(const std::string& name, std::vector<double>& values) const { values = from_.table(name); }

 private:
    const io::StoredCheckpoint& from_;
    const Coupling* coupling_ = nullptr;
    bool light_ = false;
};

}  // namespace convoy::app
