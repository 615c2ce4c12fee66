package io.nativenorm.engine;

import java.util.Locale;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;

/** What is said of a call. */
@Category("NativeNorm")
abstract class CallEvent extends Event {
  @Label("Layer")
  @Description("The layer, as it prints itself, or the static method")
  String layer;

  @Label("Task")
  @Description("infer, train or backward")
  String task;

  @Label("Shape")
  @Description("Batch x channels x positions behind their order, or rows x elements of a row")
  String shape;

  @Label("Types")
  @Description("Of input and output")
  String types;

  @Label("Elements")
  @Description("Of the input")
  long elements;

  @Label("Plan")
  @Description("Engine and kernel, as explain has them")
  String plan;

  @Label("Threads")
  @Description("How many threads the call could have")
  int threads;

  @Label("Copied")
  @Description("Whether input or output were copied or reordered for the kernel")
  boolean copied;

  final void describe(String which, Plan ran, boolean wasCopied) {
    Problem problem = ran.problem();
    layer = which;
    task = problem.task().name().toLowerCase(Locale.ROOT);
    shape = problem.shape().toString();
    types = problem.storage().toString();
    elements = problem.shape().elements();
    plan = ran.name();
    threads = problem.threads();
    copied = wasCopied;
  }
}
