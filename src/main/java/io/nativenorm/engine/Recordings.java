package io.nativenorm.engine;

import jdk.jfr.FlightRecorder;
import org.jspecify.annotations.Nullable;

/**
 * Whether there is a recording of Java Flight Recorder's in this process, or ever was one. Only
 * then may a class of an event be touched: where the module jdk.jfr is absent there are none, and
 * where nothing records the first of them initializes the recorder, which takes 200 ms.
 */
public final class Recordings {
  private static final boolean POSSIBLE = isModuleThere();

  private Recordings() {}

  /**
   * Whether an event may be wanted: one look at a field that nobody writes.
   *
   * @return false until the first recording begins
   */
  public static boolean mayBeThere() {
    return POSSIBLE && FlightRecorder.isInitialized();
  }

  /**
   * A call begins, which is to say so at its end.
   *
   * @return null, as long as nobody records calls
   */
  public static @Nullable CallRecord call() {
    return mayBeThere() ? CallRecord.begun() : null;
  }

  /** A plan is about to be prepared. */
  static @Nullable PlanPrepared plan() {
    return mayBeThere() ? PlanPrepared.begun() : null;
  }

  private static boolean isModuleThere() {
    try {
      Class.forName("jdk.jfr.FlightRecorder", false, Recordings.class.getClassLoader());
      return true;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }
}
