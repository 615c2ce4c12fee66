package io.nativenorm.cli;

/** A file or a combination of options that cannot be used; the message says why. */
final class UnusableInputException extends Exception {
  private static final long serialVersionUID = 1L;

  UnusableInputException(String message) {
    super(message);
  }
}
