package io.nativenorm.engine;

import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** One call of many. */
@Name("io.nativenorm.CallSample")
@Label("Call Sample")
@Description("The first call that ended 20 ms after the last sample or later, however long it took")
final class CallSample extends CallEvent {}
