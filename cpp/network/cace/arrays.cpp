#include "arrays.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>

namespace les::cace {

namespace {

using Json = LES_JSON_NAMESPACE::json;

// A tensor of the file
struct Weights {
  std::vector<int64_t> sizes;
  std::vector<double> values;
};

template <class S> void append(std::string_view bytes, std::vector<double> &out)
{
  for (size_t at = 0; at + sizeof(S) <= bytes.size(); at += sizeof(S)) {
    S number;
    std::memcpy(&number, bytes.data() + at, sizeof(S));
    out.push_back(static_cast<double>(number));
  }
}

template <class T> class ReadArrays {
 public:
  ReadArrays(const ModelFile &file) : file_(file), config_(Json::parse(file.metadata().network.config))
  {
    const auto &about = file.metadata().network;
    if (about.kind != "cace") throw NotCovered("networks of the kind '" + about.kind + "' have none");
    for (const std::string &latent : file.metadata().latents)
      if (latent != "charge") throw NotCovered("they do not know the latent '" + latent + "'");
    if (!about.cut()) throw NotCovered("the network is one piece of several layers");
  }

  std::unique_ptr<Arrays<T>> read()
  {
    try {
      const bool charged = file_.metadata().charges.channels > 0;
      const bool separate = charged && !config_.at("charge_representation").is_null();
      read_branch("representation", true, charged && !separate);
      if (separate) read_branch("charge_representation", false, true);
      require_widths();
    } catch (const Json::exception &) {
      throw NotCovered("network.config of the file is not that of a CACE network");
    }
    return std::move(out_);
  }

 private:
  const ModelFile &file_;
  const Json config_;
  std::unique_ptr<Arrays<T>> out_ = std::make_unique<Arrays<T>>();

  // ---- numbers

  Weights weights(const std::string &name, const std::vector<int64_t> &sizes) const
  {
    const Pickle::Tensor *tensor = file_.module().tensor("network." + name);
    const auto bytes = tensor ? tensor->contiguous() : std::nullopt;
    if (!bytes || tensor->sizes != sizes)
      throw NotCovered("the file lacks the weights '" + name + "', or they have another shape");
    Weights out{sizes, {}};
    if (tensor->type == "float32") append<float>(*bytes, out.values);
    else if (tensor->type == "float64") append<double>(*bytes, out.values);
    else throw NotCovered("the weights '" + name + "' are of type " + tensor->type);
    return out;
  }
  const T *keep(const std::vector<double> &values)
  {
    out_->numbers.emplace_back(values.begin(), values.end());
    return out_->numbers.back().data();
  }
  const T *keep(const std::string &name, const std::vector<int64_t> &sizes, double factor = 1.0)
  {
    std::vector<double> values = weights(name, sizes).values;
    for (double &v : values) v *= factor;
    return keep(values);
  }
  const int *keep_table(std::vector<int> table)
  {
    out_->tables.push_back(std::move(table));
    return out_->tables.back().data();
  }

  static const Json &of_layer(const Json &messages, int t) { return messages.at(messages.size() == 1 ? 0 : t); }

  // ---- tables of multi-indices
  Any orders_of(int max_l, int max_nu)
  {
    const int size = count_below(max_l + 1);
    std::vector<int> weights, sums, axes, powers, befores;
    for (int i = 0; i < size; i++) {
      weights.push_back(weight_at(i));
      axes.push_back(axis_of(i));
      for (int j = 0; j < size; j++) sums.push_back(place_of_sum(i, j));
      for (int a = 0; a < 3; a++) {
        powers.push_back(power_of(i, a));
        befores.push_back(place_before(i, a));
      }
    }
    return {max_l,
            max_nu,
            size,
            number_of_invariants(max_l, max_nu),
            keep_table(weights),
            keep_table(sums),
            keep_table(axes),
            keep_table(powers),
            keep_table(befores)};
  }

  // ---- readouts

  Dense<T> dense(const std::string &name, int64_t in, int64_t out, bool bias, double factor)
  {
    Weights w = weights(name + ".weight", {out, in});
    std::vector<double> forward(w.values.size()), constants(static_cast<size_t>(out), 0.0);
    for (double &v : w.values) v *= factor;
    for (int64_t o = 0; o < out; o++)
      for (int64_t i = 0; i < in; i++) forward[i * out + o] = w.values[o * in + i];
    if (bias) constants = weights(name + ".bias", {out}).values;
    for (double &c : constants) c *= factor;
    return {static_cast<int>(in), static_cast<int>(out), keep(forward), keep(w.values), keep(constants)};
  }

  struct First {    // rows of the first layers of all readouts
    int64_t in;
    std::vector<double> rows, bias;
    void add(const Dense<T> &dense)
    {
      rows.insert(rows.end(), dense.backward, dense.backward + static_cast<int64_t>(dense.in) * dense.out);
      bias.insert(bias.end(), dense.bias, dense.bias + dense.out);
    }
  };

  // scale (perceptron + linear)
  Readout<T> readout(const std::string &name, const std::string &linear, const Json &hidden, int64_t outputs, bool bias,
                     double scale, First &first)
  {
    Readout<T> out;
    out.first = static_cast<int>(first.bias.size());
    out.hidden = static_cast<int>(hidden.size());
    out.outputs = static_cast<int>(outputs);
    if (out.hidden > Readout<T>::MOST_HIDDEN)
      throw NotCovered("they know perceptrons of up to " + std::to_string(Readout<T>::MOST_HIDDEN) + " hidden layers");
    for (int d = 0; d < out.hidden; d++) {
      const int64_t width = hidden.at(d).get<int64_t>();
      if (d == 0) first.add(dense(name + ".hidden.0", first.in, width, bias, 1.0));
      if (d + 1 < out.hidden)
        out.rest[d] =
            dense(name + ".hidden." + std::to_string(d + 1), width, hidden.at(d + 1).get<int64_t>(), bias, 1.0);
      else out.rest[d] = dense(name + ".last", width, outputs, bias, scale);
    }
    out.linear = out.hidden == 0 || !linear.empty();
    if (!out.linear) return out;
    std::vector<double> rows(static_cast<size_t>(first.in * outputs), 0.0),
        constants(static_cast<size_t>(outputs), 0.0);
    std::vector<std::string> parts;
    if (!linear.empty()) parts.push_back(linear);
    if (out.hidden == 0) parts.push_back(name + ".last");
    for (const std::string &part : parts) {
      const Dense<T> d = dense(part, first.in, outputs, bias, scale);
      for (size_t i = 0; i < rows.size(); i++) rows[i] += d.backward[i];
      for (size_t o = 0; o < constants.size(); o++) constants[o] += d.bias[o];
    }
    first.rows.insert(first.rows.end(), rows.begin(), rows.end());
    first.bias.insert(first.bias.end(), constants.begin(), constants.end());
    return out;
  }

  Readout<T> readout(const std::string &which, int64_t outputs, First &first)
  {
    const Json &c = config_.at(which);
    return readout(which + "_readout.perceptron", c.at("linear").get<bool>() ? which + "_readout.linear" : "",
                   c.at("hidden"), outputs, c.at("bias").get<bool>(), c.at("scale").get<double>(), first);
  }

  void set_first(const First &first, Layer<T> &layer)
  {
    const auto out = static_cast<int64_t>(first.bias.size());
    std::vector<double> forward(first.rows.size());
    for (int64_t o = 0; o < out; o++)
      for (int64_t i = 0; i < first.in; i++) forward[i * out + o] = first.rows[o * first.in + i];
    layer.first = {static_cast<int>(first.in), static_cast<int>(out), keep(forward), keep(first.rows),
                   keep(first.bias)};
  }

  // ---- layers

  void read_branch(const std::string &name, bool energy, bool charges)
  {
    const Json &c = config_.at(name);
    const auto &about = file_.metadata();
    const auto species = static_cast<int64_t>(about.network.species.size());
    const int layers = c.at("layers").template get<int>();
    if (layers != about.network.layers || c.at("cutoff").template get<double>() != about.network.cutoff)
      throw NotCovered("network.config of the file has another cutoff, or other layers, than its network");
    const double norm = 1.0 / std::sqrt(c.at("average_neighbors").template get<double>());
    Branch<T> branch;
    branch.energy = energy;
    branch.charges = charges;
    for (int t = 0; t < layers; t++) {
      Layer<T> l;
      l.index = t;
      l.last = t + 1 == layers;
      l.orders = orders_of(c.at("max_l").template get<int>(), c.at("max_nu").template get<int>());
      l.embedding = c.at("embedding_size").template get<int>();
      l.channels = l.embedding * l.embedding;
      l.n_bessel = c.at("n_bessel").template get<int>();
      l.n_radial = c.at("n_radial").template get<int>();
      l.cutoff_power = c.at("cutoff_power").template get<int>();
      l.cutoff = static_cast<T>(about.network.cutoff);
      l.prefactor = static_cast<T>(std::sqrt(2.0 / about.network.cutoff));
      const int64_t k = l.embedding, orders = l.orders.max_l + 1;
      l.frequencies = keep(name + ".radial.frequencies", {l.n_bessel});
      l.sender = keep(name + ".sender", {species, k});
      l.receiver = keep(name + ".receiver", {species, k}, t > 0 ? norm : 1.0);
      const bool per_channel = c.at("mixing_per_channel").template get<bool>();
      std::vector<double> mixing =
          weights(name + ".mixing", {orders, per_channel ? k * k : 1, l.n_bessel, l.n_radial}).values;
      if (!per_channel) mixing = repeated(mixing, orders, k * k);
      l.mixing = keep(mixing);
      if (t == 0) l.weight_channels = l.embedding;
      else read_messages(c, name, t, norm, l);
      First first{l.last ? l.features() : l.new_features(), {}, {}};
      l.first_feature = l.last ? 0 : l.index * l.new_features();
      if (l.last) {
        if (energy) l.readout[l.readouts++] = readout("energy", 1, first);
        if (charges) l.readout[l.readouts++] = readout("charge", about.charges.channels, first);
      } else {
        const Json &next = of_layer(c.at("messages"), t);
        l.keeps_basis = next.at("memory").template get<bool>();
        l.sends_basis = next.at("attenuated").template get<bool>();
        if (next.at("invariant").template get<bool>()) {
          l.message_orders = next.at("per_l").template get<bool>() ? static_cast<int>(orders) : 1;
          l.message_channels = next.at("per_channel").template get<bool>() ? l.channels : 1;
          l.readout[l.readouts++] = readout(
              name + ".messages." + std::to_string(t) + ".invariant.perceptron", "", next.at("invariant_hidden"),
              static_cast<int64_t>(l.message_orders) * l.message_channels, true, 1.0, first);
        }
      }
      set_first(first, l);
      branch.layers.push_back(l);
    }
    out_->branches.push_back(std::move(branch));
  }

  // [o, 1, rest] to [o, channels, rest]
  static std::vector<double> repeated(const std::vector<double> &values, int64_t orders, int64_t channels)
  {
    std::vector<double> out;
    const auto rest = static_cast<int64_t>(values.size()) / orders;
    for (int64_t o = 0; o < orders; o++)
      for (int64_t c = 0; c < channels; c++)
        out.insert(out.end(), values.begin() + o * rest, values.begin() + (o + 1) * rest);
    return out;
  }

  void read_messages(const Json &c, const std::string &name, int t, double norm, Layer<T> &l)
  {
    const Json &message = of_layer(c.at("messages"), t - 1);
    const std::string here = name + ".messages." + std::to_string(t - 1) + ".";
    const int64_t orders = l.orders.max_l + 1;
    l.weight_orders = message.at("per_l").get<bool>() ? l.orders.max_l + 1 : 1;
    if (message.at("invariant").get<bool>())
      l.weight_channels = message.at("per_channel").get<bool>() ? l.channels : l.embedding;
    if (message.at("memory").get<bool>()) l.memory = keep(here + "memory", {orders, l.channels, 1, l.n_radial});
    if (!message.at("attenuated").get<bool>()) return;
    std::vector<double> rates = weights(here + "attenuated.kappa", {orders, l.columns()}).values;
    rates.resize(rates.size() + 16);
    l.rates = keep(rates);
    l.prefactors = keep(here + "attenuated.prefactor", {orders, l.columns()}, norm);
  }

  // What passes between layers is laid out as the file says.
  void require_widths() const
  {
    const auto &about = file_.metadata().network;
    for (size_t t = 0; t + 1 < static_cast<size_t>(about.layers); t++) {
      int64_t kept = 0, sent = 0;
      for (const Branch<T> &branch : out_->branches) {
        const Layer<T> &l = branch.layers[t];
        kept += l.leaves_kept();
        sent += l.leaves_sent();
      }
      if (kept != about.kept[t] || sent != about.sent[t])
        throw NotCovered("network.kept or network.sent of the file are not those of a CACE network");
    }
  }
};

}    // namespace

template <class T> std::unique_ptr<Arrays<T>> read_arrays(const ModelFile &file) { return ReadArrays<T>(file).read(); }

template std::unique_ptr<Arrays<float>> read_arrays(const ModelFile &);
template std::unique_ptr<Arrays<double>> read_arrays(const ModelFile &);

}    // namespace les::cace
