// What Rust programs need of the language where there is no library for eBPF: traits that the compiler asks for.

#[lang = "pointee_sized"]
pub trait PointeeSized {}
#[lang = "meta_sized"]
pub trait MetaSized: PointeeSized {}
#[lang = "sized"]
pub trait Sized: MetaSized {}
#[lang = "sync"]
pub unsafe trait Sync {}
unsafe impl Sync for u8 {}
unsafe impl<const N: usize> Sync for [u8; N] {}
#[lang = "copy"]
pub trait Copy {}
impl<T: PointeeSized> Copy for *const T {}
impl<T: PointeeSized> Copy for *mut T {}

#[lang = "legacy_receiver"]
pub trait Receiver {}
impl<T: PointeeSized> Receiver for &T {}
impl<T: PointeeSized> Receiver for &mut T {}

#[lang = "add"]
pub trait Add<Other = Self> {
    type Output;
    fn add(self, other: Other) -> Self::Output;
}
#[lang = "add_assign"]
pub trait AddAssign<Other = Self> {
    fn add_assign(&mut self, other: Other);
}
#[lang = "bitand"]
pub trait BitAnd<Other = Self> {
    type Output;
    fn bitand(self, other: Other) -> Self::Output;
}
#[lang = "eq"]
pub trait PartialEq<Other: PointeeSized = Self>: PointeeSized {
    fn eq(&self, other: &Other) -> bool;
    fn ne(&self, other: &Other) -> bool;
}
#[lang = "partial_ord"]
pub trait PartialOrd<Other: PointeeSized = Self>: PartialEq<Other> {
    fn lt(&self, other: &Other) -> bool;
    fn le(&self, other: &Other) -> bool;
    fn gt(&self, other: &Other) -> bool;
    fn ge(&self, other: &Other) -> bool;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Copy for $number {}
        impl Add for $number {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                self + other
            }
        }
        impl AddAssign for $number {
            fn add_assign(&mut self, other: Self) {
                *self += other;
            }
        }
        impl BitAnd for $number {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                self & other
            }
        }
        impl PartialEq for $number {
            fn eq(&self, other: &Self) -> bool {
                *self == *other
            }
            fn ne(&self, other: &Self) -> bool {
                *self != *other
            }
        }
        impl PartialOrd for $number {
            fn lt(&self, other: &Self) -> bool {
                *self < *other
            }
            fn le(&self, other: &Self) -> bool {
                *self <= *other
            }
            fn gt(&self, other: &Self) -> bool {
                *self > *other
            }
            fn ge(&self, other: &Self) -> bool {
                *self >= *other
            }
        }
    )*};
}
numbers!(u8 u16 u32 u64 i32 usize);

#[lang = "drop_glue"]
fn drop_glue<T: PointeeSized>(_: &mut T) {}
