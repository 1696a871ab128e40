// Keyword-value pairs of a LAMMPS command: one reader for pair, fix and computes, so that errors read alike.
#pragma once

#include "error.h"
#include "lammps.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

namespace les {

// Keywords of development versions, and what they are called now.
struct Renamed {
  const char *before, *now;
};
constexpr Renamed RENAMED[] = {{"mesh", "spacing"}, {"check", "mesh_error"}, {"born", "bec"}};

// A value as a command gives it.
class Argument {
 public:
  // `what` is what error messages begin with
  Argument(LAMMPS_NS::LAMMPS *lmp, std::string what, std::string text) :
      lmp_(lmp), what_(std::move(what)), text_(std::move(text))
  {
  }

  const std::string &text() const { return text_; }
  // LAMMPS itself takes 1e400, which is infinite.
  bool is_number() const
  {
    return LAMMPS_NS::utils::is_double(text_) && std::isfinite(std::strtod(text_.c_str(), nullptr));
  }
  // From low to high, both included; `expected` says so in words.
  double number(double low, double high, const std::string &expected) const
  {
    const double x = is_number() ? std::strtod(text_.c_str(), nullptr) : HUGE_VAL;
    if (!(x >= low && x <= high)) refuse(expected);
    return x;
  }
  double number(double low, double high) const
  {
    return number(low, high, fmt::format("a number from {:g} to {:g}", low, high));
  }
  int integer(int low, int high) const
  {
    const std::string expected = fmt::format("an integer from {} to {}", low, high);
    const double x = number(low, high, expected);
    if (x != std::floor(x)) refuse(expected);
    return static_cast<int>(x);
  }
  bool yes_or_no() const { return choice({"yes", "no"}) == 0; }
  // The enum whose values have these names, in order
  template <class E> E choice(const std::vector<std::string> &names) const { return static_cast<E>(choice(names)); }
  int choice(const std::vector<std::string> &allowed) const
  {
    const auto found = std::find(allowed.begin(), allowed.end(), text_);
    if (found == allowed.end()) refuse("one of " + join(allowed));
    return static_cast<int>(found - allowed.begin());
  }
  [[noreturn]] void refuse(const std::string &expected) const
  {
    lmp_->error->all(FLERR, "{} expects {}, not '{}'", what_, expected, text_);
  }

 protected:
  LAMMPS_NS::LAMMPS *lmp_;
  std::string what_, text_;

  static std::string join(const std::vector<std::string> &words)
  {
    std::string text;
    for (const auto &w : words) text += (text.empty() ? "" : ", ") + w;
    return text;
  }
};

// The value of the keyword read last, and the way to the next one.
class Keywords : public Argument {
 public:
  // Reads argv[first ...]; `command` is what error messages begin with, `known` every keyword that may come.
  Keywords(LAMMPS_NS::LAMMPS *lmp, std::string command, std::vector<std::string> known, int argc, char **argv,
           int first) :
      Argument(lmp, command, ""), command_(std::move(command)), known_(std::move(known)), argc_(argc), argv_(argv),
      next_(first)
  {
  }

  // Advance to the next keyword; false at the end.
  bool next()
  {
    if (next_ >= argc_) return false;
    key_ = argv_[next_++];
    for (const auto &[before, now] : RENAMED)
      if (key_ == before && knows(now)) lmp_->error->all(FLERR, "{}: keyword '{}' is now '{}'", command_, before, now);
    if (!knows(key_)) lmp_->error->all(FLERR, "{}: unknown keyword '{}'; known are {}", command_, key_, join(known_));
    what_ = fmt::format("{}: keyword '{}'", command_, key_);
    if (next_ >= argc_) lmp_->error->all(FLERR, "{} needs a value", what_);
    text_ = argv_[next_++];
    return true;
  }

  bool is(const char *keyword) const { return key_ == keyword; }
  // The value, and all numbers that follow it; from then on the text is that of all.
  std::vector<Argument> values()
  {
    std::vector<Argument> found{*this};
    for (; next_ < argc_ && LAMMPS_NS::utils::is_double(argv_[next_]); next_++) {
      found.emplace_back(lmp_, what_, argv_[next_]);
      text_ += fmt::format(" {}", argv_[next_]);
    }
    return found;
  }

 private:
  std::string command_;
  std::vector<std::string> known_;
  int argc_;
  char **argv_;
  int next_;
  std::string key_;

  bool knows(const std::string &keyword) const
  {
    return std::find(known_.begin(), known_.end(), keyword) != known_.end();
  }
};

}    // namespace les
