#pragma once
// What a person reads while the program runs: stderr, rank 0 only, whole lines, flushed at once.

#include <string>
#include <vector>

namespace convoy::app {

class Console {
 public:
    enum class Volume { quiet, normal, verbose };

    Console(bool speaks, Volume volume);

    void say(const std::string& line);     // not when quiet
    void detail(const std::string& line);  // only when verbose
    void warn(const std::string& line);    // always; also kept for the closing summary
    // On a terminal: shows `text` in place of what was drawn before; "" clears it.
    void draw(const std::string& text);

    bool shows_progress() const { return speaks_ && volume_ != Volume::quiet; }
    bool on_terminal() const { return terminal_; }
    const std::vector<std::string>& warnings() const { return warnings_; }

 private:
    void line(const std::string& text);

    bool speaks_, terminal_;
    Volume volume_;
    bool drawn_ = false;
    std::vector<std::string> warnings_;
};

// Control characters become '?': a name or a file must not move the cursor of somebody's terminal.
std::string printable(const std::string& text);

// One line on stderr: "error: ...", printable; line breaks in the message become spaces.
void report_error(const std::string& message);

// One line on stderr, printable, that is no error: how a run ended.
void report_end(const std::string& message);

// Opens /dev/null for each of stdin, stdout and stderr that is closed: else the next file opened would take its number,
// and a line meant for a person would go into a result.
void ensure_standard_streams();

}  // namespace convoy::app
