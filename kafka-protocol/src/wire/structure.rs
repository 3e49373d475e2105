//! Structs in messages: what is asked of them, and how they and arrays of them are read and written.

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// A struct inside a message.
pub trait Structure: Default {
    /// The fewest bytes that it takes in any version. A count of elements that would need more than
    /// there are is refused before memory is taken for them.
    const SMALLEST: usize;

    /// Reads the fields of this version of the message over those of a new struct.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a struct.
    fn read(&mut self, r: &mut Reader, version: i16) -> Result<(), DecodeError>;

    /// Writes the fields of this version of the message.
    ///
    /// # Errors
    ///
    /// If a field does not fit the version, or is longer than the protocol can say.
    fn write(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

impl Reader {
    /// Reads an array of structs into `into`, which must be empty.
    ///
    /// # Errors
    ///
    /// As [`array_len`](Self::array_len), and those of the structs.
    pub fn structs<T: Structure>(
        &mut self,
        into: &mut Vec<T>,
        flexible: bool,
        field: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        let count = self.array_len(flexible, false, T::SMALLEST, field)?;
        self.elements(into, count.unwrap_or(0), field, version)
    }

    /// Reads an array of structs or, where `nullable`, null into `into`.
    ///
    /// # Errors
    ///
    /// As [`array_len`](Self::array_len), and those of the structs.
    pub fn nullable_structs<T: Structure>(
        &mut self,
        into: &mut Option<Vec<T>>,
        flexible: bool,
        nullable: bool,
        field: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        match self.array_len(flexible, nullable, T::SMALLEST, field)? {
            Some(count) => {
                let into = into.insert(Vec::new());
                self.elements(into, count, field, version)
            }
            None => {
                *into = None;
                Ok(())
            }
        }
    }

    /// Reads a struct or, where `nullable`, null into `into`. Where it is nullable, an int8 stands
    /// before it, which is negative for null.
    ///
    /// # Errors
    ///
    /// If no byte is left, and those of the struct.
    pub fn nullable_struct<T: Structure>(
        &mut self,
        into: &mut Option<T>,
        nullable: bool,
        field: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        if nullable && self.i8(field)? < 0 {
            *into = None;
            return Ok(());
        }
        self.inner(into, field, version)
    }

    /// Reads a struct or null into `into`, in a tagged field: there the marker before it is a varint,
    /// 0 for null and 1 for a struct.
    ///
    /// # Errors
    ///
    /// If the marker is neither 0 nor 1, and those of the struct.
    pub fn nullable_struct_in_tag<T: Structure>(
        &mut self,
        into: &mut Option<T>,
        field: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        let start = self.position();
        match self.unsigned_varint(field)? {
            0 => {
                *into = None;
                Ok(())
            }
            1 => self.inner(into, field, version),
            marker => {
                let kind = DecodeErrorKind::InvalidMarker { marker };
                Err(DecodeError::new(kind, start, field))
            }
        }
    }

    fn inner<T: Structure>(
        &mut self,
        into: &mut Option<T>,
        field: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        let inner = into.insert(T::default());
        inner
            .read(self, version)
            .map_err(|error| error.within(field))
    }

    fn elements<T: Structure>(
        &mut self,
        into: &mut Vec<T>,
        count: usize,
        field: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        self.take_elements::<T>(count, field)?;
        into.reserve_exact(count);
        self.promise(count * T::SMALLEST);
        for index in 0..count {
            self.redeem(T::SMALLEST);
            into.push(T::default());
            if let Some(element) = into.last_mut()
                && let Err(error) = element.read(self, version)
            {
                return Err(error.within_element(field, index));
            }
        }
        Ok(())
    }
}

impl Writer {
    /// Writes an array of structs.
    ///
    /// # Errors
    ///
    /// As [`array_len`](Self::array_len), and those of the structs.
    pub fn structs<T: Structure>(
        &mut self,
        flexible: bool,
        values: &[T],
        field: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        self.array_len(flexible, values.len(), field)?;
        let start = self.buffered_len();
        for (index, value) in values.iter().enumerate() {
            if let Err(error) = value.write(self, version) {
                return Err(error.within_element(field, index));
            }
            if index == 0 {
                self.reserve_alike(start, values.len() - 1);
            }
        }
        Ok(())
    }

    /// Writes an array of structs or, where `nullable`, null.
    ///
    /// # Errors
    ///
    /// As [`array_len`](Self::array_len), those of the structs, and if it is null but not `nullable`.
    pub fn nullable_structs<T: Structure>(
        &mut self,
        flexible: bool,
        nullable: bool,
        values: Option<&[T]>,
        field: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        match values {
            Some(values) => self.structs(flexible, values, field, version),
            None => self.null(flexible, nullable, field),
        }
    }

    /// Writes a struct or, where `nullable`, null: then an int8 stands before it.
    ///
    /// # Errors
    ///
    /// If it is null but not `nullable`, and those of the struct.
    pub fn nullable_struct<T: Structure>(
        &mut self,
        nullable: bool,
        value: Option<&T>,
        field: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => {
                if nullable {
                    self.i8(1);
                }
                value
                    .write(self, version)
                    .map_err(|error| error.within(field))
            }
            None if nullable => {
                self.i8(-1);
                Ok(())
            }
            None => Err(EncodeError::new(EncodeErrorKind::UnexpectedNull, field)),
        }
    }

    /// Writes a struct or null, in a tagged field: there the marker before it is a varint.
    ///
    /// # Errors
    ///
    /// Those of the struct.
    pub fn nullable_struct_in_tag<T: Structure>(
        &mut self,
        value: Option<&T>,
        field: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        self.unsigned_varint(u32::from(value.is_some()));
        match value {
            Some(value) => value
                .write(self, version)
                .map_err(|error| error.within(field)),
            None => Ok(()),
        }
    }
}
