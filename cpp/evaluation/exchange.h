// What passes between the ranks that hold an atom and its ghosts, between two layers of a network.
#pragma once

#include <torch/types.h>

namespace les {

class Exchange {
 public:
  virtual ~Exchange() = default;
  // Collective, also for ranks without atoms. Rows of owned atoms [n_owned, w] -> rows of all atoms [n_all, w]: those of ghosts are
  // their owners'.
  virtual torch::Tensor forward(const torch::Tensor &rows) const = 0;
  // Its transpose. [n_all, w] -> [n_owned, w]: owned atoms get the sum over themselves and their ghosts on all ranks.
  virtual torch::Tensor reverse(const torch::Tensor &rows) const = 0;
};

}    // namespace les
