package io.nativenorm;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** The last results of what takes long to compute and what the next tests ask for again. */
final class Recent<K, V> {
  private static final int COUNT = 16;

  private final Map<K, V> results =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
          return size() > COUNT;
        }
      };

  /** Computes it unless it is there. The function does not ask for others. */
  synchronized V get(K key, Function<K, V> function) {
    return results.computeIfAbsent(key, function);
  }
}
