// Keyword-value pairs of a LAMMPS command: one reader for pair, fix and computes, so that errors read alike.
#pragma once

#include "error.h"
#include "lammps.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace les {

// Keywords of development versions, and what they are called now.
struct Renamed {
  const char *before, *now;
};
constexpr Renamed RENAMED[] = {{"mesh", "spacing"}, {"check", "mesh_error"}, {"born", "bec"}};

class Keywords {
 public:
  // Reads argv[first ...]; `command` is what error messages begin with, `known` every keyword that may come.
  Keywords(LAMMPS_NS::LAMMPS *lmp, std::string command, std::vector<std::string> known, int argc, char **argv,
           int first) :
      lmp_(lmp), command_(std::move(command)), known_(std::move(known)), argc_(argc), argv_(argv), next_(first)
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
    if (next_ >= argc_) lmp_->error->all(FLERR, "{}: keyword '{}' needs a value", command_, key_);
    value_ = argv_[next_++];
    return true;
  }

  bool is(const char *keyword) const { return key_ == keyword; }
  const std::string &text() const { return value_; }
  double number() const { return LAMMPS_NS::utils::numeric(FLERR, value_, false, lmp_); }
  double positive() const
  {
    const double x = number();
    if (!(x > 0.0)) refuse("a positive number");
    return x;
  }
  int integer(int low, int high) const
  {
    const double x = number();
    if (x != std::floor(x) || x < low || x > high) refuse(fmt::format("an integer from {} to {}", low, high));
    return static_cast<int>(x);
  }
  bool yes_or_no() const { return choice({"yes", "no"}) == 0; }
  int choice(const std::vector<std::string> &allowed) const
  {
    for (size_t n = 0; n < allowed.size(); n++)
      if (allowed[n] == value_) return static_cast<int>(n);
    refuse("one of " + join(allowed));
  }
  [[noreturn]] void refuse(const std::string &expected) const
  {
    lmp_->error->all(FLERR, "{}: keyword '{}' expects {}, not '{}'", command_, key_, expected, value_);
  }

 private:
  LAMMPS_NS::LAMMPS *lmp_;
  std::string command_;
  std::vector<std::string> known_;
  int argc_;
  char **argv_;
  int next_;
  std::string key_, value_;

  bool knows(const std::string &keyword) const
  {
    return std::find(known_.begin(), known_.end(), keyword) != known_.end();
  }

  static std::string join(const std::vector<std::string> &words)
  {
    std::string text;
    for (const auto &w : words) text += (text.empty() ? "" : ", ") + w;
    return text;
  }
};

}    // namespace les
