package io.nativenorm.engine;

import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.Threshold;

/** A call that took long. */
@Name("io.nativenorm.SlowCall")
@Label("Slow Call")
@Description("A call that took as long as the threshold or longer")
@Threshold("10 ms")
final class SlowCall extends CallEvent {}
