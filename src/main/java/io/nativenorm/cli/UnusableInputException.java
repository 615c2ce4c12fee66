package io.nativenorm.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/** A file or a combination of options that cannot be used; the message says why. */
final class UnusableInputException extends Exception {
  private static final long serialVersionUID = 1L;

  UnusableInputException(String message) {
    super(message);
  }

  /**
   * A file that the system does not let be used.
   *
   * @param name the file's
   * @param cannot what was not possible, such as "cannot be read"
   * @param cause the system's reason
   */
  UnusableInputException(String name, String cannot, IOException cause) {
    super(name + " " + cannot + ": " + reason(cause), cause);
  }

  /** Java's messages about files begin with their names, and some are nothing but them. */
  private static String reason(IOException e) {
    if (e instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (e instanceof NoSuchFileException) {
      return "it does not exist";
    }
    if (e instanceof NotDirectoryException) {
      return "its folder is not one";
    }
    boolean named = e instanceof FileSystemException;
    String said = named ? ((FileSystemException) e).getReason() : e.getMessage();
    return said == null ? e.toString() : said;
  }
}
