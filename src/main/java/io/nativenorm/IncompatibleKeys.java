package io.nativenorm;

import java.util.List;
import java.util.Objects;

/**
 * What {@link NormLayer#load(java.util.Map, boolean)} left alone, as PyTorch's {@code
 * load_state_dict} returns it.
 *
 * @param missing names of the layer's that the state does not have
 * @param unexpected names of the state's that the layer does not have
 */
public record IncompatibleKeys(List<String> missing, List<String> unexpected) {
  /**
   * Copies both lists.
   *
   * @param missing names of the layer's that the state does not have
   * @param unexpected names of the state's that the layer does not have
   */
  public IncompatibleKeys {
    missing = List.copyOf(Objects.requireNonNull(missing, "missing"));
    unexpected = List.copyOf(Objects.requireNonNull(unexpected, "unexpected"));
  }
}
