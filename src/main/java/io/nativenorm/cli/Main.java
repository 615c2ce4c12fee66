package io.nativenorm.cli;

/** placeholder. */
public final class Main {
  private Main() {}
}
