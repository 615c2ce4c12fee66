package io.nativenorm;

import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** How often each method was called, and how often it returned; guards itself. */
final class CallTally {
  private final Map<PublicApi.Call, int[]> counts = new HashMap<>();
  private final Map<Backend, Integer> layersReturned = new EnumMap<>(Backend.class);

  synchronized void returned(PublicApi.Call call, LayerSpec spec) {
    int[] count = counts.computeIfAbsent(call, c -> new int[2]);
    count[0]++;
    count[1]++;
    if (spec != null) {
      layersReturned.merge(spec.backend, 1, Integer::sum);
    }
  }

  synchronized void threw(PublicApi.Call call) {
    counts.computeIfAbsent(call, c -> new int[2])[0]++;
  }

  /** What speaks against these calls having tried everything; empty if nothing does. */
  synchronized String shortcomings(
      List<PublicApi.Call> calls, int leastCalls, List<Backend> engines) {
    StringJoiner all = new StringJoiner("; ");
    int called = 0;
    int returned = 0;
    for (PublicApi.Call call : calls) {
      int[] count = counts.getOrDefault(call, new int[2]);
      called += count[0];
      returned += count[1];
      if (count[0] < leastCalls || (count[1] == 0 && !RandomCalls.isAlwaysRefused(call))) {
        all.add(call + " " + count[0] + " calls, " + count[1] + " good");
      }
    }
    if (returned < 0.3 * called) {
      all.add("only " + returned + " of " + called + " calls returned");
    }
    for (Backend engine : engines) {
      if (layersReturned.getOrDefault(engine, 0) < leastCalls) {
        all.add(engine + " had " + layersReturned.getOrDefault(engine, 0) + " calls on layers");
      }
    }
    return all.toString();
  }
}
