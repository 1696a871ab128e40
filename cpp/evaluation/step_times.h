// Where the time of a step goes, and what a step is at.
#pragma once

#include <chrono>

namespace les {

// Wall seconds of the parts of a step on this rank, summed over a run. On a GPU, waiting for it shows where results are read.
struct StepTimes {
  enum Part { EDGES, NETWORK, LONG_RANGE, BACKWARD, TALLY, BORN, PARTS };
  static constexpr const char *NAMES[PARTS] = {"edges", "network", "long range", "backward", "tally", "BEC"};
  static constexpr const char *DOING[PARTS] = {"collecting the edges", "evaluating the model",
                                               "the long-range sum",   "evaluating the model",
                                               "checking the forces",  "computing Born effective charges"};
  double seconds[PARTS] = {};
  int64_t steps = 0;
  bool counts = true;        // not for the evaluation that sets a run up
  const char *doing = "";    // for the message of a failure

  template <class F> auto measure(Part part, F &&work)
  {
    doing = DOING[part];
    struct Clock {
      StepTimes &times;
      Part part;
      std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
      ~Clock()
      {
        if (!times.counts) return;
        times.seconds[part] += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      }
    } clock{*this, part};
    return work();
  }
};

}    // namespace les
