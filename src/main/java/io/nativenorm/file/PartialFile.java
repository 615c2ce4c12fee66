package io.nativenorm.file;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.UUID;

/**
 * A file that is being written under a short name of its own, to replace another as a whole. It is
 * removed when it is closed before that, and when the process ends, as it does on SIGTERM, SIGINT
 * and SIGHUP.
 */
public final class PartialFile implements AutoCloseable {
  /** As many symbolic links as Linux follows. */
  private static final int MOST_LINKS = 40;

  private final Path target;
  private final Path path;

  /** Of the file that is replaced; null if there is none, or the system has no such attributes. */
  private final PosixFileAttributes old;

  private final Thread atExit = new Thread(this::remove);
  private FileChannel channel;

  /** Guarded by this, so that nothing is made after the last chance to remove it. */
  private boolean isRemoved;

  private PartialFile(Path target) throws IOException {
    this.target = target;
    // Not made from the target's name: the two together may be longer than a name can be.
    path = target.resolveSibling(".nn-" + UUID.randomUUID().toString().substring(0, 8));
    PosixFileAttributeView view = view(target);
    old = view != null && Files.exists(target) ? view.readAttributes() : null;
  }

  private static PosixFileAttributeView view(Path path) {
    return Files.getFileAttributeView(path, PosixFileAttributeView.class);
  }

  /**
   * The name behind symbolic links, which need not be there.
   *
   * @param path a name, of a link or not
   * @return where a file is to be replaced, so that the links stay
   * @throws IOException if a link cannot be read, or there are too many
   */
  public static Path followed(Path path) throws IOException {
    Path file = path;
    for (int links = 0; Files.isSymbolicLink(file); links++) {
      if (links == MOST_LINKS) {
        throw new IOException("too many levels of symbolic links");
      }
      file = file.resolveSibling(Files.readSymbolicLink(file));
    }
    return file;
  }

  /**
   * Makes an empty file in the folder of one that is there or not.
   *
   * @param target what it is to replace, no link
   * @return the file, to be written, to {@link #replace} and to be closed
   * @throws IOException if none can be made there
   */
  public static PartialFile of(Path target) throws IOException {
    PartialFile partial = new PartialFile(target);
    try {
      Runtime.getRuntime().addShutdownHook(partial.atExit);
      partial.create();
      return partial;
    } catch (IOException | IllegalStateException e) {
      partial.close();
      throw e instanceof IOException io ? io : new IOException("the process is ending", e);
    }
  }

  private synchronized void create() throws IOException {
    requireNotRemoved();
    // What only the owner could read stays so meanwhile.
    FileAttribute<?>[] attributes =
        old == null
            ? new FileAttribute<?>[0]
            : new FileAttribute<?>[] {
              PosixFilePermissions.asFileAttribute(
                  Set.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE))
            };
    channel =
        FileChannel.open(
            path, Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW), attributes);
  }

  private void requireNotRemoved() throws IOException {
    if (isRemoved) {
      throw new IOException("the process is ending");
    }
  }

  /**
   * Where to write.
   *
   * @return the file's channel
   */
  public FileChannel channel() {
    return channel;
  }

  /**
   * Gives the file its name, and the mode and the owner of the one it replaces.
   *
   * @throws IOException if that cannot be done; then the old file is as it was
   */
  public synchronized void replace() throws IOException {
    requireNotRemoved();
    channel.close();
    if (old != null) {
      keepOwner();
      view(path).setPermissions(old.permissions()); // after the owner, whose change takes bits away
    }
    // Without ATOMIC_MOVE the old file is removed first, and an end in between leaves nothing.
    Files.move(path, target, StandardCopyOption.ATOMIC_MOVE);
  }

  /** As far as this user may: root may all. */
  private void keepOwner() throws IOException {
    PosixFileAttributeView view = view(path);
    PosixFileAttributes now = view.readAttributes();
    try {
      if (!now.group().equals(old.group())) {
        view.setGroup(old.group());
      }
      if (!now.owner().equals(old.owner())) {
        view.setOwner(old.owner());
      }
    } catch (IOException e) {
      // Then the file is this user's, as any new one.
    }
  }

  private synchronized void remove() {
    isRemoved = true;
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      // Nothing is left to do.
    }
  }

  @Override
  public void close() {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      // It goes.
    }
    remove();
    try {
      Runtime.getRuntime().removeShutdownHook(atExit);
    } catch (IllegalStateException e) {
      // It is running.
    }
  }
}
