package io.nativenorm.engine;

import io.nativenorm.Backend;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A plan was not in the cache. */
@Name("io.nativenorm.PlanPrepared")
@Label("Plan Prepared")
@Description("A problem was met whose plan was not kept; the duration is that of preparing it")
@Category("NativeNorm")
final class PlanPrepared extends Event {
  @Label("Problem")
  String problem;

  @Label("Backend")
  @Description("That the layer was built with")
  String backend;

  @Label("Plan")
  @Description("Engine and kernel, as explain has them")
  String plan;

  @Label("Threads")
  @Description("How many threads a call can have")
  int threads;

  @Label("Plans")
  @Description("How many are kept now, 256 at most")
  int plans;

  @Label("Evicted")
  @Description("Whether the plan that was not used for longest had to go")
  boolean evicted;

  static PlanPrepared begun() {
    PlanPrepared event = new PlanPrepared();
    event.begin();
    return event;
  }

  void done(Problem what, Backend asked, Plan made, int kept, boolean oldestGone) {
    if (shouldCommit()) {
      problem = what.toString();
      backend = asked.name();
      plan = made.name();
      threads = what.threads();
      plans = kept;
      evicted = oldestGone;
      commit();
    }
  }
}
